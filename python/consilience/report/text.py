"""Numbers as a reader wants them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

MISSING = "–"
# XML and HTML have no way to write these, nor UTF-8 half a pair of surrogates.
UNWRITTEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def number(value: float) -> str:
    """Return a score for reading: two decimals, three below 0.1, one above 10."""
    if math.isnan(value):
        return MISSING
    if value == 0:
        return "0"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size >= 1000:
        text = f"{value:,.0f}"
    elif size >= 10:
        text = f"{value:.1f}"
    else:
        text = f"{value:.2f}" if size >= 0.0995 else f"{value:.3f}"
    if float(text.replace(",", "")) == 0.0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def deviations(z: float) -> str:
    """Return a number of standard deviations: whole ones from 10 on."""
    return f"{z:,.0f}".replace("-", "−") if abs(z) >= 10 else number(z)


def dimension(value: float) -> str:
    """Return an intrinsic dimension, one decimal."""
    return MISSING if math.isnan(value) else f"{value:.1f}"


def counted(count: int, noun: str) -> str:
    """Return "1 model" or "2 models"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def bound_text(bound: float) -> str:
    """Return a bound of a metric: 0, −1, ∞."""
    return number(bound) if math.isinf(bound) else f"{bound:g}".replace("-", "−")


def plain(value: Any) -> str:
    """Return any JSON-able value as one line of text."""
    if value is None:
        return MISSING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return f"{float(value):.6g}".replace("-", "−")
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(plain(item) for item in value)
    return str(value)


def spelled_out(value: Any) -> Any:
    """Return the value, letters that no file of markup can hold spelled out, as by `ascii`.

    In texts, and in those of mappings, sequences and dataclasses.
    """
    if isinstance(value, str):
        return UNWRITTEN.sub(lambda found: ascii(found[0])[1:-1], value)
    if isinstance(value, Mapping):
        return {spelled_out(key): spelled_out(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(spelled_out(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{f.name: spelled_out(getattr(value, f.name)) for f in fields(value)}
        )
    return value
