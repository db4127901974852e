"""Judges what users pass in. Says what is wrong, where, and the remedy."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience._memory import passed

# Entries of arrays in host memory from which threads read them.
LARGE = 1 << 22
# Entries that stay in cache for a second look; and those that BLAS sums up on one thread.
CACHED = 1 << 17
FEW = 1 << 13
# Bytes of a mapped array from which a copy of it goes to a file.
SPILLED = 1 << 26
# Beyond these the eighth power, which products of squared kernels reach, leaves float64.
LARGEST = 1e35
SMALLEST = 1e-35

_HALF_WIDTH = ("float16", "bfloat16")
_FULL_WIDTH = ("float32", "float64")
# What kernels read as it is, by name: NumPy takes longer to name a dtype than to look it up.
_KERNEL_DTYPES = {np.dtype(name): name for name in _FULL_WIDTH}


@dataclass(frozen=True)
class Embedding:
    """An embedding that passed the gate.

    values : (n_samples, n_features), float32 or float64, in C order; NumPy if it lives on the
        host, else an array of its own library (torch, CuPy, JAX) where it was.
    """

    name: str
    values: Any
    dtype: str

    @property
    def n_samples(self) -> int:
        return int(self.values.shape[0])

    @property
    def n_features(self) -> int:
        return int(self.values.shape[1])


def as_embedding(array: Any, name: str) -> Embedding:
    """Return `array` as an Embedding.

    Raises
    ------
    TypeError
        If it is no array, or of a dtype that is not floating point.
    ValueError
        If it is not 2-D, is empty, holds NaN or infinity, has equal rows only, or numbers whose
        squares leave float64.
    """
    values, dtype = as_rows(array, name)
    _check_range(values, name)
    return Embedding(name, values, dtype)


def as_rows(array: Any, name: str) -> tuple[Any, str]:
    """Return (2-D array of float32 or float64, its dtype before); entries are not looked at."""
    values, dtype = _known_array(array, name)
    if values.ndim != 2:
        raise ValueError(
            f"`{name}` must be 2-D, (n_samples, n_features), got shape {tuple(values.shape)}"
        )
    if 0 in values.shape:
        raise ValueError(f"`{name}` is empty: shape {tuple(values.shape)}")
    return values, dtype


def _known_array(array: Any, name: str) -> tuple[Any, str]:
    """Return (array of float32 or float64, name of the dtype it came in)."""
    if isinstance(array, np.ndarray):
        if isinstance(array, np.ma.MaskedArray):
            raise TypeError(f"`{name}` is a masked array; drop or fill its masked entries first")
        return _native_rows(array, name)
    library = type(array).__module__.partition(".")[0]
    if library == "torch":
        return _from_torch(array, name)
    if library in ("cupy", "jaxlib", "jax") and _is_on_accelerator(array):
        values, dtype = _with_dtype(array, name)
        if library == "cupy" and not values.flags.c_contiguous:
            values = values.copy(order="C")
        return values, dtype
    return _native_rows(_to_numpy(array, name), name)


def _native_rows(array: Any, name: str) -> tuple[Any, str]:
    """Return a NumPy array as kernels read it; what must be copied of files goes to a file."""
    plain = array.flags.c_contiguous and array.flags.aligned
    if plain and array.dtype in _KERNEL_DTYPES:
        return np.asarray(array), _KERNEL_DTYPES[array.dtype]
    from consilience._mapped import is_mapped, spilled

    dtype = array.dtype if array.dtype.isnative else array.dtype.newbyteorder("=")
    _check_dtype(dtype.name, name)
    wanted = np.dtype(np.float32) if dtype.name in _HALF_WIDTH else dtype
    if plain and array.dtype == wanted:
        return np.asarray(array), dtype.name
    if array.ndim == 2 and array.nbytes >= SPILLED and is_mapped(array):
        return spilled(array, wanted), dtype.name
    return _plain(array, wanted), dtype.name


def _plain(array: Any, dtype: Any = None) -> Any:
    """Return an array in C order whose entries lie where processors read them, a copy or not."""
    return np.require(array, dtype, ("C_CONTIGUOUS", "ALIGNED"))


def _from_torch(tensor: Any, name: str) -> tuple[Any, str]:
    dtype = str(tensor.dtype).removeprefix("torch.")
    _check_dtype(dtype, name)
    tensor = tensor.detach()
    if dtype in _HALF_WIDTH:
        tensor = tensor.float()
    if tensor.device.type == "cpu":
        return _plain(tensor.resolve_conj().resolve_neg().numpy()), dtype
    return tensor.resolve_neg().contiguous(), dtype


def _is_on_accelerator(array: Any) -> bool:
    if type(array).__module__.startswith("cupy"):
        return True
    return all(device.platform != "cpu" for device in array.devices())


def _to_numpy(array: Any, name: str) -> Any:
    if isinstance(array, (list, tuple)) or not (
        hasattr(array, "__array__")
        or hasattr(array, "__array_interface__")
        or hasattr(array, "__dlpack__")
    ):
        raise TypeError(
            f"`{name}` must be an array of shape (n_samples, n_features), "
            f"got {type(array).__name__}; convert it with numpy.asarray"
        )
    if hasattr(array, "__array__") or hasattr(array, "__array_interface__"):
        return np.asarray(array)
    return np.from_dlpack(array)


def _with_dtype(values: Any, name: str) -> tuple[Any, str]:
    dtype = str(values.dtype).lstrip("<>=|")
    dtype = getattr(values.dtype, "name", dtype)
    _check_dtype(dtype, name)
    if dtype in _HALF_WIDTH:
        return values.astype(np.float32), dtype
    return values, dtype


def _check_dtype(dtype: str, name: str) -> None:
    if dtype not in _HALF_WIDTH + _FULL_WIDTH:
        raise TypeError(
            f"`{name}` must be float16, bfloat16, float32 or float64, got {dtype}; "
            "if its numbers are embeddings, convert them with .astype(numpy.float32)"
        )


def _raise_not_finite(values: Any, name: str) -> None:
    from array_api_compat import array_namespace

    xp = array_namespace(values)
    n, d = values.shape
    step = max(1, (1 << 24) // d)
    for start in range(0, n, step):
        finite = xp.isfinite(values[start : min(n, start + step), :])
        if bool(xp.all(finite)):
            continue
        bad = xp.argmax(xp.astype(xp.reshape(~finite, (-1,)), xp.int32))
        row, column = divmod(int(bad), values.shape[1])
        raise ValueError(
            f"`{name}` has {_word(values[start + row, column])} at row {start + row}, "
            f"column {column}; drop or repair such rows first"
        )


def _word(value: Any) -> str:
    return "NaN" if float(value) != float(value) else "an infinite value"


def _largest(values: Any) -> float:
    if isinstance(values, np.ndarray):
        return float(np.maximum.reduce(values))  # what .max() calls, by way of Python
    return float(namespace(values).max(values))


def _smallest(values: Any) -> float:
    if isinstance(values, np.ndarray):
        return float(np.minimum.reduce(values))
    return float(namespace(values).min(values))


def _column_ranges(values: Any) -> tuple[Any, Any]:
    """Return the largest and the smallest entry of every column, from one read."""
    if not isinstance(values, np.ndarray):  # an accelerator's launches cost more
        xp = namespace(values)
        return xp.max(values, axis=0), xp.min(values, axis=0)
    n, d = values.shape
    step = max(1, CACHED // d)
    if n <= step:
        return np.maximum.reduce(values), np.minimum.reduce(values)
    high = low = values[0, :]
    for start in range(0, n, step):
        block = values[start : min(n, start + step), :]
        high = np.maximum(high, np.maximum.reduce(block))
        low = np.minimum(low, np.minimum.reduce(block))
        passed(block.nbytes)
    return high, low


def namespace(values: Any) -> Any:
    """Return the functions of the array API for the library that holds the array."""
    if isinstance(values, np.ndarray):
        return np
    from array_api_compat import array_namespace

    return array_namespace(values)


def _check_range(values: Any, name: str) -> None:
    if not _plainly_in_range(values):
        check_spread(*finite_ranges(values, name), int(values.shape[0]), name)


def _plainly_in_range(values: Any) -> bool:
    """Return whether few entries leave no doubt: columns take longer to look at.

    No entry is larger than the root of the sum of squares, which NaN and infinity pass through.
    """
    if not isinstance(values, np.ndarray) or values.size > FEW:
        return False
    first, last = values.item(0), values.item(-values.shape[1])  # of the first column
    return abs(first - last) > 4.0 * SMALLEST and float(np.vdot(values, values)) <= LARGEST**2


def finite_ranges(values: Any, name: str) -> tuple[Any, Any]:
    """Return the largest and the smallest entry of every column; raise unless all are finite."""
    high, low = _column_ranges(values)
    # NaN and infinity pass through largest and smallest.
    if not (math.isfinite(_largest(high)) and math.isfinite(_smallest(low))):
        _raise_not_finite(values, name)
    return high, low


def check_spread(high: Any, low: Any, n_samples: int, name: str) -> None:
    """Raise unless rows with these column ranges differ, by numbers that float64 can square."""
    spread = _largest(high / 2 - low / 2)
    if spread == 0.0:
        if bool(namespace(high).any(high != low)):
            raise ValueError(f"`{name}` differs between rows by too little; rescale it")
        raise ValueError(
            f"`{name}` is constant: all {n_samples} rows are equal, so it can be compared "
            "with nothing; check how it was made"
        )
    largest = max(abs(_largest(high)), abs(_smallest(low)))
    if largest > LARGEST or spread < SMALLEST:
        raise ValueError(
            f"`{name}` holds numbers too large or too close to compute with "
            f"(largest {largest:.3g}, spread {spread:.3g}); rescale it"
        )


def as_embeddings(
    arrays: Iterable[tuple[str, Any]], n_threads: int | None = None
) -> list[Embedding]:
    """Return the arrays as Embeddings of the same samples; threads read large ones on the host."""
    named = list(arrays)
    large = all(isinstance(array, np.ndarray) for _, array in named) and (
        sum(array.size for _, array in named) >= LARGE
    )
    if large and len(named) > 1 and n_threads != 1:
        with ThreadPoolExecutor(n_threads and max(1, n_threads)) as pool:
            sets = list(pool.map(lambda one: as_embedding(one[1], one[0]), named))
    else:
        sets = [as_embedding(array, name) for name, array in named]
    for other in sets[1:]:
        if other.n_samples != sets[0].n_samples:
            raise ValueError(
                f"`{sets[0].name}` and `{other.name}` must have the same n_samples, row i of "
                f"each from sample i; got {sets[0].n_samples} and {other.n_samples}"
            )
    return sets


def check_k(k: Any, n_samples: int, *, name: str = "k", least: int = 1) -> None:
    """Raise unless `k` is an integer in [least, n_samples)."""
    check_integer(k, name, least)
    if k >= n_samples:
        raise ValueError(
            f"`{name}` must be below n_samples, got {name}={k} with {n_samples} samples"
        )


def check_integer(value: Any, name: str, least: int) -> None:
    """Raise unless `value` is an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"`{name}` must be an integer, got {type(value).__name__}")
    if value < least:
        raise ValueError(f"`{name}` must be at least {least}, got {value}")


def check_positive(value: Any, name: str) -> None:
    """Raise unless `value` is a positive finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"`{name}` must be a number, got {type(value).__name__}")
    if not 0.0 < float(value) < float("inf"):
        raise ValueError(f"`{name}` must be positive and finite, got {value}")


def check_choice(value: Any, name: str, choices: Collection[str]) -> None:
    """Raise unless `value` is one of `choices`; suggest the nearest."""
    if isinstance(value, str) and value in choices:
        return
    choices = list(choices)
    if value in choices:
        return
    lower = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(str(value).lower(), lower, n=1)
    hint = f"; did you mean {lower[near[0]]!r}?" if near else ""
    raise ValueError(f"`{name}` must be one of {choices}, got {value!r}{hint}")


def check_samples(n_samples: int, least: int, what: str) -> None:
    """Raise unless there are enough samples for `what`."""
    if n_samples < least:
        raise ValueError(f"{what} needs at least {least} samples, got n_samples={n_samples}")
