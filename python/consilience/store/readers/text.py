"""CSV and TSV: one sample a line, through pyarrow in blocks."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from consilience._files import one_line
from consilience.store.readers.columns import LEAST, Table, open_table
from consilience.store.readers.rows import (
    ID_NAMES,
    MOST_COLUMNS,
    FormatError,
    Rows,
    need,
)

# A line must fit into a block: about 400,000 numbers.
BLOCK = 8 << 20
NOTHING = ("", "na", "n/a", "null", "none")


def open_text(file: Path, name: str) -> Rows:
    """Open lines of numbers, with or without a header; a first column of words is the ids."""
    delimiter = "\t" if file.suffix.lower() == ".tsv" else ","
    first, second = _first_lines(file, delimiter)
    header = not any(_is_number(cell) for cell in first[1:]) and not (
        len(first) == 1 and _is_number(first[0])
    )
    sample = second if header and second else first
    names = first if header else [f"column {i}" for i in range(len(first))]
    has_ids = (header and first[0].lower() in ("", *ID_NAMES)) or not _is_number(sample[0])
    if has_ids:
        names = [ID_NAMES[0], *names[1:]]
    if len(set(names)) < len(names) or len(names) > MOST_COLUMNS:
        raise FormatError(
            f"{file} has {len(names)} columns, expected different names and at most {MOST_COLUMNS}"
        )
    floats = [column for column in names[has_ids:] if _is_float_column(column, names, sample)]
    pa, reader = need("pyarrow", LEAST, "CSV"), need("pyarrow.csv", LEAST, "CSV")
    types = {column: pa.float64() for column in floats}
    if has_ids:
        types[ID_NAMES[0]] = pa.string()

    def batches(piece: int, columns: list[str]) -> Iterator[Any]:
        with reader.open_csv(
            file,
            reader.ReadOptions(
                use_threads=False, block_size=BLOCK, column_names=names, skip_rows=int(header)
            ),
            reader.ParseOptions(delimiter=delimiter),
            reader.ConvertOptions(
                column_types=types,
                include_columns=columns,
                null_values=list(NOTHING),
                strings_can_be_null=False,
            ),
        ) as found:
            yield from found

    count = sum(batch.num_rows for batch in batches(0, list(types)[-1:]))
    schema = pa.schema(list(types.items()))
    return open_table(Table(file, schema, [count], batches), name)


def _first_lines(file: Path, delimiter: str) -> tuple[list[str], list[str]]:
    with file.open("rb") as stream:
        lines = [stream.readline(BLOCK) for _ in range(2)]
    if not lines[0].strip():
        raise FormatError(f"{file} is empty; write one line of numbers for each sample")
    if any(len(line) >= BLOCK for line in lines):
        raise FormatError(
            f"{file} has a line of more than {BLOCK} bytes; it is no table of numbers"
        )
    try:
        text = [line.decode("utf-8-sig") for line in lines]
        rows = [*csv.reader(text, delimiter=delimiter), [], []]
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{file} is not text in UTF-8 ({one_line(error, 80)})") from error
    return rows[0], rows[1]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _is_float_column(column: str, names: list[str], sample: list[str]) -> bool:
    """Judge a column by the first line of values; the rest must then be numbers too."""
    place = names.index(column)
    cell = sample[place] if place < len(sample) else ""
    return _is_number(cell) or cell.lower() in NOTHING
