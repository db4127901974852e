"""The words of a plan, from YAML or JSON that anybody may have written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from consilience._files import read_json

MOST_BYTES = 1 << 20
# A few aliases of aliases in YAML stand for billions of words.
MOST_WORDS = 100_000


def read_words(path: Path) -> Any:
    """Return what a plan file holds.

    Raises
    ------
    ImportError
        If the file is YAML and PyYAML is missing.
    ValueError
        If it cannot be read; the message names it.
    """
    try:
        if path.suffix == ".json":
            return read_json(path, MOST_BYTES)
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise ValueError(f"{path} has {size} bytes, and a plan at most {MOST_BYTES}")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read the study {path}: {error}") from error
    return _yaml(path, text)


def _yaml(path: Path, text: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise ImportError(
            "a study in YAML needs PyYAML: pip install 'consilience[study]'"
        ) from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        tree = loader.get_single_node()
        if tree is None:
            return None
        if _words(tree, {}) > MOST_WORDS:
            raise ValueError(f"its aliases stand for more than {MOST_WORDS} words")
        return loader.construct_document(tree)
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        said = " ".join(str(error).split())[:300] or type(error).__name__
        raise ValueError(f"{path} is not YAML: {said}") from error
    finally:
        loader.dispose()


def _words(node: Any, known: dict[int, int]) -> int:
    """Return how many words a node stands for, with every alias written out."""
    if id(node) in known:
        if known[id(node)] < 0:
            raise ValueError("an alias holds itself")
        return known[id(node)]
    known[id(node)] = -1
    total = 1
    if not isinstance(node.value, str):
        for inner in node.value:
            for each in inner if isinstance(inner, tuple) else (inner,):
                total += _words(each, known)
    known[id(node)] = total
    return total
