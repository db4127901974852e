"""Plain tensors out of pickled checkpoints, without running what else is pickled in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from consilience.models._weights import plain_weights


class Inert:
    """Stands in for a pickled object that nobody asked for, and does nothing."""

    def __init__(self, *arguments: object, **options: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def read_inert(path: Path, *, mappings: tuple[str, ...] = ()) -> Any:
    """Load the dict in a checkpoint with every class in it replaced by an inert one.

    Parameters
    ----------
    path : Path
        A file written by ``torch.save``.
    mappings : tuple of str
        Full names of classes in it that are dicts and are wanted as such.

    Notes
    -----
    Tensors and plain values come out as they are; no class or function that the file names
    is imported or called.
    """
    from torch.serialization import get_unsafe_globals_in_checkpoint

    named = get_unsafe_globals_in_checkpoint(path)
    return plain_weights(path, tuple((dict if n in mappings else Inert, n) for n in named))
