"""Embeddings on disk: write once, open by memory map, align rows by sample id.

A store is one folder for one model: safetensors shards that are never changed, a text file
of sample ids, and a manifest that names them with their sizes and checksums. The manifest
is written last and in one step, so a folder either has a whole store or none.
"""

from consilience.store.align import align
from consilience.store.arrays import read_array
from consilience.store.embeddings import StoredEmbeddings, open
from consilience.store.pieces import Pieces
from consilience.store.readers import Rows, open_rows
from consilience.store.writer import write

__all__ = [
    "Pieces",
    "Rows",
    "StoredEmbeddings",
    "align",
    "open",
    "open_rows",
    "read_array",
    "write",
]
