"""Parquet, and Arrow IPC with Feather, through pyarrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from consilience.store.readers.columns import LEAST, Table, arrow, open_table
from consilience.store.readers.rows import FormatError, Rows, need

PARQUET = b"PAR1"
IPC = b"ARROW1"
OLD_FEATHER = b"FEA1"
BATCH_ROWS = 16_384
# Of the metadata of a Parquet file: ours are far below.
MOST_FOOTER = 16 << 20


def open_parquet(file: Path, name: str) -> Rows:
    """Open a Parquet file; rows are unpacked as they are asked for."""
    parquet = need("pyarrow.parquet", LEAST, "Parquet")
    limits = {"thrift_string_size_limit": MOST_FOOTER, "thrift_container_size_limit": 1 << 20}
    pages = parquet.ParquetFile(file, page_checksum_verification=True, **limits)
    found = pages.metadata
    counts = [found.row_group(i).num_rows for i in range(found.num_row_groups)]
    if min(counts, default=0) < 0 or sum(counts) != found.num_rows:
        raise FormatError(f"{file} is damaged: its row groups do not add up; write it again")

    def batches(piece: int, columns: list[str]) -> Iterator[Any]:
        groups = list(range(piece, len(counts)))
        yield from pages.iter_batches(BATCH_ROWS, row_groups=groups, columns=columns)

    return open_table(Table(file, pages.schema_arrow, counts, batches, pages.close), name)


def open_ipc(file: Path, name: str) -> Rows:
    """Open an Arrow IPC file or stream (or Feather of version 2) by memory map."""
    with file.open("rb") as stream:
        magic = stream.read(len(IPC))
    if magic[: len(OLD_FEATHER)] == OLD_FEATHER:
        raise FormatError(f"{file} is Feather of version 1; write it again as version 2")
    if magic != IPC:
        return open_streams(file, [file], name)
    pa, ipc = arrow(), need("pyarrow.ipc", LEAST, "Arrow")
    source = pa.memory_map(str(file))
    reader = ipc.open_file(source)
    schema = reader.schema
    counts = [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)]

    def batches(piece: int, columns: list[str]) -> Iterator[Any]:
        for i in range(piece, len(counts)):
            yield reader.get_batch(i).select(columns)

    return open_table(Table(file, schema, counts, batches, source.close), name)


def open_streams(file: Path, parts: Sequence[Path], name: str) -> Rows:
    """Open Arrow IPC streams as one table; `file` is what messages name."""
    counts, owners, schema = [], [], None
    for part in parts:
        for number, batch in enumerate(_stream(part, 0)):
            if schema is None:
                schema = batch.schema
            if not batch.schema.equals(schema):
                raise FormatError(f"{part} has other columns than the files before it")
            counts.append(batch.num_rows)
            owners.append((part, number))
    if schema is None:
        raise FormatError(f"{file} is empty: it has no rows")

    def batches(piece: int, columns: list[str]) -> Iterator[Any]:
        if not owners:
            return
        part, skip = owners[piece] if piece < len(owners) else owners[-1]
        for each in parts[list(parts).index(part) :]:
            for batch in _stream(each, skip):
                yield batch.select(columns)
            skip = 0

    return open_table(Table(file, schema, counts, batches), name)


def _stream(part: Path, skip: int) -> Iterator[Any]:
    pa, ipc = arrow(), need("pyarrow.ipc", LEAST, "Arrow")
    with pa.memory_map(str(part)) as source, ipc.open_stream(source) as reader:
        for number, batch in enumerate(reader):
            if number >= skip:
                yield batch
