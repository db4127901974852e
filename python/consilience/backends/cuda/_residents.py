"""What was made of host arrays on the device, kept while they live and there is room."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Residents:
    """The latest things made of arrays, up to so many bytes; an array that ends takes its along."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.RLock()
        self._held: OrderedDict[tuple[int, str], tuple[Any, Any, int]] = OrderedDict()

    def get(self, array: Any, kind: str, make: Callable[[], T], nbytes: Callable[[T], int]) -> T:
        """Return what `make` made of the array the last time, or makes now."""
        key = (id(array), kind)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key][1]  # type: ignore[no-any-return]
            made = make()
            size = nbytes(made)
            if size <= self._limit:
                ended = weakref.ref(array, lambda _: self._held.pop(key, None))
                self._held[key] = (ended, made, size)
                # A copy in one step: another thread's array may end meanwhile.
                while sum(size for *_, size in list(self._held.values())) > self._limit:
                    self._held.popitem(last=False)
            return made
