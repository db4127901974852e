"""What every analysis returns can be written as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np


class Result:
    """A frozen dataclass that is a dict of numbers, words and lists when asked."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON has them; a number that is not defined is None."""
        # `from` is a word of the language, so its field is called `from_`.
        return {
            field.name.rstrip("_"): plain(getattr(self, field.name))
            for field in fields(self)  # type: ignore[arg-type]
        }


def plain(value: Any) -> Any:
    """Return the JSON-able equal of a value, nan as None."""
    if isinstance(value, Result):
        return value.to_json()
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
