"""Preparation of an embedding: clip, then normalise, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from consilience._mapped import is_mapped, row_blocks, scratch
from consilience._memory import passed
from consilience._validate import Embedding, as_embedding, check_choice, namespace
from consilience.needs import PLAIN, Normalize, View

NORMALIZATIONS = ("none", "l2", "max", "zscore")
# Entries of an array in host memory from which it is prepared in parts, by threads.
LARGE = 1 << 20
# Features below which the largest of a row is found faster among columns (bench_overhead.py).
NARROW = 64


def check_view(view: View) -> None:
    """Raise ValueError unless the settings of `view` make sense."""
    check_choice(view.normalize, "normalize", NORMALIZATIONS)
    q = view.clip_quantile
    if q is not None and not 0.0 < q <= 1.0:
        raise ValueError(f"`clip_quantile` must be in (0, 1], got {q}")


def prepare(embedding: Embedding, view: View, n_threads: int = 1) -> Any:
    """Return the values as `view` wants them; the array itself if it wants nothing.

    Its bits do not depend on n_threads, that work on the host.

    l2 : rows of length 1;  max : rows divided by their largest absolute value;
    zscore : columns of mean 0 and variance 1, constant columns 0;
    clip_quantile=q : entries clipped to ± the q-quantile of all absolute values, first;
    unit_rows : rows of length 1, last.
    """
    X = embedding.values
    if view == PLAIN:
        return X
    if not isinstance(X, np.ndarray):
        from consilience.backends._placement import require_float64

        require_float64(X)
    xp = namespace(X)
    large = xp is np and X.size >= LARGE
    if not large:
        n_threads = 1
    if large and is_mapped(X):
        X = _mapped(X, view, embedding.name, n_threads)
    elif view.clip_quantile is None and view.normalize != "zscore":
        X = _normalized_in_blocks(xp, X, view, embedding.name, n_threads)
    elif large and view == View("zscore"):
        X = _standardized(X, n_threads)
    else:
        X = _normalized(xp, xp.astype(X, xp.float64), view, embedding.name)
    if xp is np and X.item(0) != X.item(-X.shape[1]):  # the first column says it for less
        return X
    if bool(xp.all(X[0, :] == X[-1, :])) and bool(xp.all(X[:1, :] == X)):
        raise ValueError(
            f"`{embedding.name}` is constant after normalize={view.normalize!r}: all rows "
            "become equal; choose another normalisation"
        )
    return X


def normalized_rows(X: Any, normalize: Normalize, name: str) -> Any:
    """Return what looks at one row at a time, "l2" or "max", of a batch of any size."""
    if normalize == "none":
        return X
    return _normalized_in_blocks(namespace(X), X, View(normalize), name, 1)


def _mapped(X: Any, view: View, name: str, n_threads: int) -> Any:
    """Return the prepared rows of a mapped array in a scratch file, made block by block."""
    limit = math.inf
    if view.clip_quantile is not None:
        limit = _quantile_of_blocks(X, view.clip_quantile)
    blocks = row_blocks(X.shape)
    out = scratch(X.shape, np.float64)
    if view.normalize == "zscore":
        mean, deviation = _column_moments(X, limit)

    def write(rows: slice) -> None:
        block = X[rows].astype(np.float64)
        np.clip(block, -limit, limit, out=block)
        if view.normalize == "zscore":
            block -= mean
            block /= deviation
        rest = View("none" if view.normalize == "zscore" else view.normalize, None, view.unit_rows)
        out[rows] = _normalized(np, block, rest, name, rows.start)
        passed(X[rows].nbytes + block.nbytes)

    _each(write, blocks, n_threads)
    return out


def _column_moments(X: Any, limit: float) -> tuple[Any, Any]:
    """Return the mean and standard deviation of every column, 1 where it is constant."""

    def about(origin: Any, power: int) -> Any:
        total = np.zeros(X.shape[1])
        for rows in row_blocks(X.shape):
            block = np.clip(X[rows].astype(np.float64), -limit, limit) - origin
            total += (block**power).sum(axis=0)
            passed(X[rows].nbytes)
        return total / len(X)

    first = np.clip(X[0].astype(np.float64), -limit, limit)
    mean = first + about(first, 1)
    deviation = np.sqrt(about(mean, 2))
    # A constant column's mean may be off by a bit.
    constant = about(first, 2) == 0
    return np.where(constant, first, mean), np.where(constant, 1.0, deviation)


def _quantile_of_blocks(X: Any, q: float) -> float:
    """Return the same entry as `_quantile` of the absolute values, never all of them at once.

    The bits of a positive float sort as it does: sixteen of them are settled by each pass.
    """
    width = 8 * X.dtype.itemsize
    unsigned = np.dtype(f"u{X.dtype.itemsize}")
    rank = min(math.floor(q * X.size), X.size - 1)
    found = 0
    for shift in range(width - 16, -1, -16):
        counts = np.zeros(1 << 16, np.int64)
        for rows in row_blocks(X.shape):
            bits = np.abs(X[rows]).view(unsigned).ravel()
            if shift < width - 16:
                bits = bits[bits >> unsigned.type(shift + 16) == found]
            digits = (bits >> unsigned.type(shift)) & unsigned.type(0xFFFF)
            counts += np.bincount(digits.astype(np.int64), minlength=1 << 16)
            passed(X[rows].nbytes)
        below = np.cumsum(counts)
        digit = int(np.searchsorted(below, rank, side="right"))
        rank -= int(below[digit - 1]) if digit else 0
        found = found << 16 | digit
    return float(np.array([found], unsigned).view(X.dtype)[0])


def _each(work: Callable[[Any], None], parts: Iterable[Any], n_threads: int) -> None:
    """Do the work on all parts; what fails is the first of them that does."""
    if n_threads == 1:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(work, parts))


def _standardized(X: Any, n_threads: int) -> Any:
    """Return columns of mean 0 and variance 1, as `_normalized` makes them of all at once."""
    n, d = X.shape
    out = np.empty((n, d))
    # Blocks of one column would be summed in another order.
    edges = np.linspace(0, d, max(1, d // 32) + 1).astype(int).tolist()

    def write(first: int) -> None:
        columns = slice(edges[first], edges[first + 1])
        block = X[:, columns].astype(np.float64, order="C")
        out[:, columns] = _normalized(np, block, View("zscore"), "")

    _each(write, range(len(edges) - 1), n_threads)
    return out


def _normalized_in_blocks(xp: Any, X: Any, view: View, name: str, n_threads: int) -> Any:
    """Return what looks at one row at a time; on the host while the row is in cache."""
    n, d = X.shape
    if isinstance(X, np.ndarray):
        # Threads take more at a time, as they wait for each other between NumPy's calls.
        step = max(1, (1 << (14 if n_threads == 1 else 17)) // d)
        if n <= step:
            return _normalized(xp, X.astype(np.float64, order="C"), view, name)
        out = np.empty((n, d))

        def write(start: int) -> None:
            rows = X[start : start + step].astype(np.float64)
            out[start : start + step] = _normalized(xp, rows, view, name, start)

        _each(write, range(0, n, step), n_threads)
        return out
    # Each block waits for its check of zero rows once; its temporaries stay below 1 GiB.
    step = max(1, (1 << 24) // d)
    blocks = [
        _normalized(
            xp, xp.astype(X[start : min(n, start + step), :], xp.float64), view, name, start
        )
        for start in range(0, n, step)
    ]
    return blocks[0] if len(blocks) == 1 else xp.concat(blocks, axis=0)


def _normalized(xp: Any, X: Any, view: View, name: str, first_row: int = 0) -> Any:
    """Return the rows as `view` wants them; NumPy's are a copy that may be written to."""
    if view.clip_quantile is not None:
        limit = _quantile(xp, xp.reshape(xp.abs(X), (-1,)), view.clip_quantile)
        X = xp.clip(X, -limit, limit)
    if view.normalize == "max":
        X = _divide_by_largest(xp, X, name, first_row)
    elif view.normalize == "zscore":
        X = X - X[:1, :]
        X = X - xp.mean(X, axis=0, keepdims=True)
        deviation = xp.sqrt(xp.mean(X * X, axis=0, keepdims=True))
        X = X / xp.where(deviation > 0, deviation, xp.ones_like(deviation))
    if view.normalize == "l2" or view.unit_rows:
        # In two steps, so that no square over- or underflows.
        X = _divide_by_largest(xp, X, name, first_row)
        if xp is np:  # what np.sum calls, by way of Python
            X /= np.sqrt(np.add.reduce(X * X, axis=1, keepdims=True))
        else:
            X = X / xp.sqrt(xp.sum(X * X, axis=1, keepdims=True))
    return X


def _divide_by_largest(xp: Any, X: Any, name: str, first_row: int) -> Any:
    if xp is np:
        if X.shape[1] < NARROW:
            lengths = np.maximum.reduce(np.abs(X.T, order="C"), axis=0)[:, None]
        else:
            lengths = np.maximum.reduce(np.abs(X), axis=1, keepdims=True)
        if np.count_nonzero(lengths) == len(lengths):
            X /= lengths
            return X
    else:
        lengths = xp.max(xp.abs(X), axis=1, keepdims=True)
    zero = xp.reshape(lengths == 0, (-1,))
    if bool(xp.any(zero)):
        row = first_row + int(xp.argmax(xp.astype(zero, xp.int32)))
        raise ValueError(
            f"`{name}` has a zero row (row {row}), which has no direction; drop it, or use "
            'normalize="none" or "zscore"'
        )
    return X / lengths


def _quantile(xp: Any, values: Any, q: float) -> float:
    """Return the entry of rank ⌊q · size⌋, as platonic-rep takes it."""
    size = int(values.shape[0])
    return float(xp.sort(values)[min(math.floor(q * size), size - 1)])


def preprocess(X: Any, *, normalize: Normalize = "none", clip_quantile: float | None = None) -> Any:
    """Clip and normalise an embedding, in float64.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
    normalize : "none", "l2", "max" or "zscore"
        Rows of length 1; rows divided by their largest absolute value; columns of mean 0 and
        variance 1 (constant ones become 0).
    clip_quantile : float, optional
        First clip all entries to ± the entry of rank ⌊q · size⌋ among all absolute values;
        platonic-rep clips at 0.95 before it normalises.

    Returns
    -------
    array of shape (n_samples, n_features)
        Of the library that X came from if it is on an accelerator, else NumPy.

    Raises
    ------
    ValueError
        On a zero row under "l2" or "max", or if all rows become equal.

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> cs.preprocess(np.array([[3.0, 4.0], [0.0, 2.0]]), normalize="l2").tolist()
    [[0.6, 0.8], [0.0, 1.0]]
    """
    view = View(normalize, clip_quantile)
    check_view(view)
    return prepare(as_embedding(X, "X"), view)
