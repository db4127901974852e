"""Code of other libraries runs here: without a network, quietly, its failures one sentence."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
T = TypeVar("T")


class ModelError(RuntimeError):
    """A model could not be run; the message is one sentence."""


def guard(what: str, function: Callable[[], T]) -> T:
    """Run code of other libraries; what goes wrong there becomes one sentence."""
    try:
        with _quiet():
            return function()
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ModelError(f"{what}: {reason[:300]}") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the network out, and the chatter of other libraries off the terminal."""
    before = {name: os.environ.get(name) for name in OFFLINE}
    os.environ.update(OFFLINE)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
