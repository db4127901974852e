"""Embeddings on disk: written shard by shard, opened by memory map, aligned by sample id.

A store is one folder for one model; a folder of such folders is a set. Its files:

``manifest.json``
    The finished store: model, dataset, shape, versions, and every file with size and SHA-256.
``manifest.unfinished.json``
    The same of a store that is being written: the shards that are closed so far. Finishing is
    to give it the other name, in one step, so that an old store stays whole until then.
``rows-TOKEN-00000.safetensors``, ``ids-TOKEN-00000.txt``, ``output-NAME-TOKEN-00000.safetensors``
    A shard: rows from byte 4096 on or a later page, their sample ids, one a line, and what the
    model predicts of them. Never changed; every writer has a token of its own.

Every file is written under another name, flushed to the disk and renamed; a manifest names only
what is there already. So at any instant the folder opens with every closed shard whole, and
what no manifest names was never finished. Shards that are small or do not end on a page are
joined when the store is finished, so that all can be mapped side by side as one array.
"""

from consilience.store.align import DroppedSamples, align
from consilience.store.arrays import read_array
from consilience.store.copying import convert, merge
from consilience.store.embeddings import StoredEmbeddings
from consilience.store.opening import folders_of_set, is_store, open, open_set
from consilience.store.readers import Rows, open_rows
from consilience.store.verify import problems
from consilience.store.writer import Writer, write

__all__ = [
    "DroppedSamples",
    "Rows",
    "StoredEmbeddings",
    "Writer",
    "align",
    "convert",
    "folders_of_set",
    "is_store",
    "merge",
    "open",
    "open_rows",
    "open_set",
    "problems",
    "read_array",
    "write",
]
