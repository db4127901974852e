"""Tables of Arrow columns: which of them are the embedding, which the ids, and their rows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience.store.readers.rows import (
    ID_NAMES,
    MOST_COLUMNS,
    FormatError,
    Rows,
    check_matrix,
    need,
    some,
)

# Older ones run code that an Arrow file carries (CVE-2023-47248).
LEAST = "15.0"


@dataclass(frozen=True)
class Layout:
    """The columns of a table that are read.

    ids : name of the column of ids, or "";  lists : whether the one column holds whole rows
    """

    columns: tuple[str, ...]
    lists: bool
    ids: str

    @property
    def names(self) -> list[str]:
        """Every column that is read."""
        return [*self.columns, *([self.ids] if self.ids else [])]


@dataclass(frozen=True)
class Table:
    """A table in pieces (row groups, record batches) that are read in order.

    batches : gives the record batches from a piece on, with only the columns named
    """

    file: Path
    schema: Any
    counts: Sequence[int]
    batches: Callable[[int, list[str]], Iterator[Any]]
    shut: Callable[[], Any] | None = None


def arrow() -> Any:
    """Import pyarrow."""
    return need("pyarrow", LEAST, "Arrow, Parquet and CSV")


def find_layout(file: Path, schema: Any, name: str) -> Layout:
    """Return the column of lists of floats, or all columns of floats.

    name : a column, or a pattern such as "emb_*" that columns of floats match
    """
    types = arrow().types
    if len(schema.names) > MOST_COLUMNS or len(set(schema.names)) < len(schema.names):
        raise FormatError(
            f"{file} has {len(schema.names)} columns, expected different names and at most "
            f"{MOST_COLUMNS}; keep each row in one column of lists"
        )
    ids = next((known for known in ID_NAMES if known in schema.names), "")
    kinds = {
        field.name: _storage(field.type)
        for field in schema
        if field.name != ids and (not name or fnmatchcase(field.name, name))
    }
    lists = [column for column, kind in kinds.items() if _is_row(types, kind)]
    floats = [column for column, kind in kinds.items() if types.is_floating(kind)]
    if len(lists) == 1 and not (name and floats):
        return Layout((lists[0],), True, ids)
    if floats and not lists:
        _refuse_whole_numbers(file, types, kinds)
        return Layout(tuple(floats), False, ids)
    raise FormatError(
        f"{file} must have one column of lists of floats, or columns of floats; "
        f"it has {some(schema.names)}: name the one you mean, {file.name}::COLUMN"
    )


def _storage(kind: Any) -> Any:
    return getattr(kind, "storage_type", kind)


def _is_row(types: Any, kind: Any) -> bool:
    lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(lists and types.is_floating(kind.value_type))


def _refuse_whole_numbers(file: Path, types: Any, kinds: dict[str, Any]) -> None:
    """Refuse to leave out columns of numbers that may belong to the embedding."""
    other = [
        column
        for column, kind in kinds.items()
        if types.is_integer(kind) or types.is_decimal(kind) or types.is_boolean(kind)
    ]
    if other:
        raise FormatError(
            f"{file} has columns of floats and of other numbers ({some(other)}); convert them "
            f"to float32, leave them out, or name those you mean: {file.name}::PATTERN*"
        )


def open_table(table: Table, name: str) -> Rows:
    """Return the rows of a table."""
    file, layout = table.file, find_layout(table.file, table.schema, name)
    dtype, width = _dtype(table, layout), len(layout.columns)
    if layout.lists:
        first = next(_arrays(table, layout, 0), None)
        width = 0 if first is None else first.shape[1]
    size = _bytes_of(file)
    shape = check_matrix(file, (sum(table.counts), width), dtype, size, packed=True)
    ids = _all_ids(table, layout) if layout.ids else None
    walk = Walk(table, layout)
    return Rows(file, shape, dtype, walk.read, ids=ids, shut=table.shut)


def _bytes_of(file: Path) -> int:
    if file.is_dir():
        return sum(part.stat().st_size for part in file.rglob("*") if part.is_file())
    return file.stat().st_size


def _dtype(table: Table, layout: Layout) -> np.dtype[Any]:
    kinds = [_storage(table.schema.field(column).type) for column in layout.columns]
    kinds = [kind.value_type for kind in kinds] if layout.lists else kinds
    return np.result_type(*{np.dtype(kind.to_pandas_dtype()) for kind in kinds})


class Walk:
    """Reads rows in order, and starts anew at a piece where asked to go back."""

    def __init__(self, table: Table, layout: Layout) -> None:
        self.table, self.layout = table, layout
        self.starts = np.concatenate([[0], np.cumsum(np.asarray(table.counts, np.int64))])
        self.lock = threading.Lock()
        self.at = 0
        self.left: NDArray[Any] | None = None
        self.coming: Iterator[NDArray[Any]] = iter(())

    def read(self, start: int, stop: int) -> NDArray[Any]:
        with self.lock:
            self._go_to(start)
            parts = []
            while self.at < stop:
                if self.left is None or not len(self.left):
                    self.left = next(self.coming, None)
                    if self.left is None:
                        raise FormatError(
                            f"{self.table.file} ends at row {self.at}; write it again"
                        )
                    continue
                take = min(stop - self.at, len(self.left))
                parts.append(self.left[:take])
                self.left, self.at = self.left[take:], self.at + take
            return np.concatenate(parts) if parts else np.empty((0, len(self.layout.columns)))

    def _go_to(self, start: int) -> None:
        if start == self.at and self.at:
            return
        piece = int(np.searchsorted(self.starts, start, side="right")) - 1
        if start < self.at or self.at < self.starts[piece] or not self.at:
            self.at, self.left = int(self.starts[piece]), None
            self.coming = _arrays(self.table, self.layout, piece)
        while self.at < start:
            if self.left is None or not len(self.left):
                self.left = next(self.coming, None)
                if self.left is None:
                    raise FormatError(f"{self.table.file} ends at row {self.at}; write it again")
            take = min(start - self.at, len(self.left))
            self.left, self.at = self.left[take:], self.at + take


def _arrays(table: Table, layout: Layout, piece: int) -> Iterator[NDArray[Any]]:
    for batch in table.batches(piece, list(layout.columns)):
        if not batch.num_rows:
            continue
        # offsets and indices of a file of unknown origin may point anywhere
        batch.validate(full=True)
        columns = [_plain(table.file, batch.column(name), name) for name in layout.columns]
        if layout.lists:
            yield _rows_of_lists(table.file, columns[0], layout.columns[0])
        else:
            yield np.stack([column.to_numpy(zero_copy_only=False) for column in columns], axis=1)


def _plain(file: Path, column: Any, name: str) -> Any:
    column = getattr(column, "storage", column)
    if column.null_count:
        raise FormatError(f"{file} has missing values in column {name!r}; drop those rows")
    return column


def _rows_of_lists(file: Path, column: Any, name: str) -> NDArray[Any]:
    values = column.flatten()
    if values.null_count:
        raise FormatError(f"{file} has missing values in column {name!r}; drop those rows")
    width, rest = divmod(len(values), len(column))
    lengths = None
    if hasattr(column, "value_lengths"):
        lengths = column.value_lengths().to_numpy(zero_copy_only=False)
    if rest or (lengths is not None and (lengths != width).any()):
        raise FormatError(
            f"{file} has lists of different lengths in column {name!r}; reshape them, for "
            "example by a mean over tokens, and save it again"
        )
    array: NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return array.reshape(len(column), width)


def _all_ids(table: Table, layout: Layout) -> tuple[str, ...]:
    ids: list[str] = []
    for batch in table.batches(0, [layout.ids]):
        batch.validate(full=True)
        column = batch.column(layout.ids)
        if column.null_count:
            raise FormatError(f"{table.file} has rows without an id in {layout.ids!r}")
        ids.extend(map(str, column.to_pylist()))
    return tuple(ids)
