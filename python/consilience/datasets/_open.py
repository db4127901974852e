"""Text files of the user's, packed or not."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path


def read_text(path: Path) -> str:
    """Return the text of a file, unpacked if its name ends in .gz.

    Raises
    ------
    ValueError
        If it cannot be read.
    """
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {path}: {error}") from error


def stem(path: Path) -> str:
    """Return the name of a file without its endings: "1abc" of "1abc.pdb.gz"."""
    name = path.name.removesuffix(".gz")
    return name.rpartition(".")[0] or name


def files_in(path: str | Path, endings: tuple[str, ...], what: str) -> list[Path]:
    """Return a file, or the files below a folder whose names end so, in the order of names.

    Raises
    ------
    ValueError
        If there is no such file.
    """
    place = Path(path)
    if place.is_dir():
        found = [p for p in sorted(place.rglob("*")) if p.name.lower().endswith(endings)]
        found = [p for p in found if p.is_file()]
        if not found:
            raise ValueError(f"{place} has no {what} ({', '.join(endings)})")
        return found
    if not place.is_file():
        raise ValueError(f"cannot read {place}: there is no such file or folder")
    if not place.name.lower().endswith(endings):
        raise ValueError(f"{place} must end in {' or '.join(endings)} to be read as {what}")
    return [place]
