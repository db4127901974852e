"""BLAS on one thread a call, where our own threads each call it."""

from __future__ import annotations

import os
import threading
from typing import Any


class _OneBlasThread:
    """Keeps BLAS on one thread a call, as our workers each call it.

    Counted, because several Python threads may be inside at once: the first in sets the limit,
    the last out restores it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._libraries: list[Any] | None = None
        self._before: list[tuple[Any, int]] = []
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                if self._libraries is None:
                    from threadpoolctl import ThreadpoolController

                    found = ThreadpoolController().select(user_api="blas")
                    self._libraries = found.lib_controllers
                threads = [(library, library.get_num_threads()) for library in self._libraries]
                self._before = [one for one in threads if one[1] != 1]
                self._set([(library, 1) for library, _ in self._before])
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._restore()

    def _restore(self) -> None:
        self._set(self._before)

    def _set(self, threads: list[tuple[Any, int]]) -> None:
        if not threads:
            return
        _take_control()
        for library, count in threads:
            library.set_num_threads(count)
        _take_control()

    def _forked(self) -> None:
        # The threads that were inside, or held the lock, stayed with the parent.
        self._lock = threading.Lock()
        if self._inside:
            self._inside = 0
            self._restore()


def _take_control() -> None:
    """Let this thread set OpenBLAS's limit: from 3.8 on, threadpoolctl listens to one at a time.

    Who is last out need not be who came first.
    """
    from threadpoolctl import OpenBLASController

    if hasattr(OpenBLASController, "clear_controlling_thread"):
        OpenBLASController.clear_controlling_thread(force=True)


one_blas_thread = _OneBlasThread()
