"""Where ops run. `select` is the only place that chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from consilience._validate import check_choice, check_integer
from consilience.backends.base import Backend, Channel, PairTable


def _native(arrays: Sequence[Any], n_threads: int | None, max_memory: int | None) -> Backend:
    from consilience.backends.native import NativeBackend

    return NativeBackend.for_arrays(arrays, n_threads=n_threads, max_memory=max_memory)


def _array(arrays: Sequence[Any], n_threads: int | None, max_memory: int | None) -> Backend:
    from consilience.backends.array import ArrayBackend

    return ArrayBackend()


BACKENDS: dict[str, Callable[[Sequence[Any], int | None, int | None], Backend]] = {
    "native": _native,
    "array": _array,
}


def select(
    backend: str | Backend,
    arrays: Sequence[Any],
    *,
    n_threads: int | None = None,
    max_memory: int | None = None,
) -> Backend:
    """Return the backend named, or for "auto" the fastest one that takes `arrays`.

    Only "auto" may fall back, and no data moves: arrays on an accelerator are worked on there.
    A backend asked for by name raises if it cannot run.
    """
    if not isinstance(backend, str):
        return backend
    if n_threads is not None:
        check_integer(n_threads, "n_threads", 1)
    if backend != "auto":
        check_choice(backend, "backend", ["auto", *BACKENDS])
        return BACKENDS[backend](arrays, n_threads, max_memory)
    for make in BACKENDS.values():
        try:
            return make(arrays, n_threads, max_memory)
        except UnsupportedArraysError:
            continue
    raise AssertionError("the array backend takes everything")


class UnsupportedArraysError(TypeError):
    """A backend cannot work on these arrays where they are."""


__all__ = ["BACKENDS", "Backend", "Channel", "PairTable", "UnsupportedArraysError", "select"]
