"""Cross-moments that grow batch by batch, and the scores that read nothing else."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import numpy as np

from consilience._validate import as_rows, check_choice, check_integer, check_spread
from consilience.accumulate._ranges import column_ranges
from consilience.accumulate._sums import Sums, joined, pairs_of
from consilience.needs import MomentNeed, View
from consilience.terms import CenteredMoments, Floats

FORMAT = "consilience moments 1"
RowNormalize = Literal["none", "l2", "max"]
T = TypeVar("T")


class Moments:
    r"""Moments of the embeddings of several models, gathered batch by batch.

    .. math:: \sum_i z_i z_i^\top, \qquad
        z_i = [x_i, \lVert x_i \rVert^2, y_i, \lVert y_i \rVert^2, \dots, 1]

    about shifts near the means. Every metric that reads moments alone (linear `cka` and `hsic`,
    `cca`, `svcca`, `pwcca`, `procrustes`, `linear_regression_r2`) is exact over all batches: what
    the batch function returns for their rows together, to rounding.

    Parameters
    ----------
    dims : sequence of int, or mapping of names to int, optional
        n_features of each model. Left out, the first update says.
    normalize : "none", "l2" or "max"
        What is done to each row first; "zscore" would need all rows beforehand.
    n_threads : int, optional
        Workers for batches in host memory; no result depends on it.

    Notes
    -----
    An update costs the matrix products of the batch, O(batch · D²), D being all features
    together, and memory stays O(D²). Batches in host memory (NumPy, torch, JAX) go through the
    native kernel; batches on a GPU are summed up there, in float64, until something is asked for.
    Tensors that need gradients are read without them.

    One accumulator belongs to one thread; `merge` joins those of several.

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.standard_normal((100, 8)), rng.standard_normal((100, 5))
    >>> acc = cs.Moments((8, 5))
    >>> for start in range(0, 100, 30):
    ...     _ = acc.update(X[start : start + 30], Y[start : start + 30])
    >>> bool(np.isclose(acc.compute("cka", debiased=True), cs.cka(X, Y, debiased=True), rtol=1e-12))
    True
    """

    def __init__(
        self,
        dims: Sequence[int] | Mapping[str, int] | None = None,
        *,
        normalize: RowNormalize = "none",
        n_threads: int | None = None,
    ) -> None:
        if str(normalize) == "zscore":
            raise ValueError(
                'normalize="zscore" needs the mean and deviation of all rows before the first; '
                "standardise the columns yourself, or leave it out"
            )
        check_choice(normalize, "normalize", ["none", "l2", "max"])
        if n_threads is not None:
            check_integer(n_threads, "n_threads", 1)
        self._normalize: RowNormalize = normalize
        self._n_threads = n_threads
        self._names: tuple[str, ...] = ()
        self._widths: tuple[int, ...] = ()
        if dims is not None:
            named = isinstance(dims, Mapping)
            widths = list(dims.values()) if isinstance(dims, Mapping) else list(dims)
            for width in widths:
                check_integer(width, "dims", 1)
            self._set_models(list(dims) if named else None, [int(width) for width in widths])
        self.reset()

    def _set_models(self, names: Sequence[Any] | None, widths: Sequence[int]) -> None:
        if not widths:
            raise ValueError("moments are of one model at least, got none")
        if names is None:
            names = ("X", "Y") if len(widths) == 2 else [f"model {m}" for m in range(len(widths))]
        self._names = tuple(str(name) for name in names)
        self._widths = tuple(widths)

    def reset(self) -> Self:
        """Forget all rows; models and widths stay. Returns self."""
        self._n_samples = 0
        self._checked = 0
        self._home: Sums | None = None
        self._away: dict[Any, Sums] = {}
        self._shifts: list[Floats] = []
        self._high: list[Floats] = []
        self._low: list[Floats] = []
        return self

    @property
    def n_samples(self) -> int:
        """Rows so far."""
        return self._n_samples

    @property
    def names(self) -> tuple[str, ...]:
        """The models, in order."""
        return self._names

    @property
    def dims(self) -> tuple[int, ...]:
        """n_features of each model."""
        return self._widths

    def __repr__(self) -> str:
        models = ", ".join(f"{n}: {d}" for n, d in zip(self._names, self._widths, strict=True))
        return f"Moments({{{models}}}, n_samples={self._n_samples})"

    def update(self, *batches: Any) -> Self:
        """Add a batch of rows: one array per model, in order, or one mapping of names to arrays.

        Row i of each is from the same sample; batches may differ in size, one row is enough. What
        raises adds nothing.

        Returns
        -------
        Moments
            Itself.

        Raises
        ------
        TypeError
            If one is no array of floats.
        ValueError
            If widths or n_samples differ, models are missing, or an entry is NaN or infinite.
        """
        named = self._in_order(batches)
        values = [self._rows(array, name) for name, array in named]
        n_rows = int(values[0].shape[0])
        for (name, _), X in zip(named[1:], values[1:], strict=True):
            if X.shape[0] != n_rows:
                raise ValueError(
                    f"`{named[0][0]}` and `{name}` must have the same n_samples, row i of each "
                    f"from sample i; got {n_rows} and {X.shape[0]}"
                )
        ranges = [column_ranges(X, name) for (name, _), X in zip(named, values, strict=True)]
        if not self._widths:
            names = None if len(batches) > 1 else [name for name, _ in named]
            self._set_models(names, [int(X.shape[1]) for X in values])
        self._add(values)
        self._n_samples += n_rows
        self._widen([high for high, _ in ranges], [low for _, low in ranges])
        self._follow()
        return self

    def _in_order(self, batches: tuple[Any, ...]) -> list[tuple[str, Any]]:
        if len(batches) == 1 and isinstance(batches[0], Mapping):
            by_name = {str(name): array for name, array in batches[0].items()}
            wanted = self._names or tuple(by_name)
            if set(wanted) != set(by_name):
                raise ValueError(f"a batch of {list(wanted)} is wanted, got {list(by_name)}")
            return [(name, by_name[name]) for name in wanted]
        names = self._names or ("X", "Y")[: len(batches)]
        if len(names) != len(batches):
            names = self._names or tuple(f"model {m}" for m in range(len(batches)))
        if len(names) != len(batches) or not batches:
            raise ValueError(f"one batch per model is wanted, of {list(names)}, got {len(batches)}")
        return list(zip(names, batches, strict=True))

    def _rows(self, array: Any, name: str) -> Any:
        values, _ = as_rows(array, name)
        if self._widths:
            width = self._widths[self._names.index(name)]
            if values.shape[1] != width:
                raise ValueError(
                    f"`{name}` must have {width} features, as before, got {values.shape[1]}"
                )
        if self._normalize == "none":
            return values
        from consilience.views import normalized_rows

        column_ranges(values, name)
        return normalized_rows(values, self._normalize, name)

    def _add(self, values: Sequence[Any]) -> None:
        from consilience.backends._block_moments import block_moments, column_means
        from consilience.backends._placement import common_place, place

        where = common_place([place(X) for X in values])
        if where.kind == "host":
            self._install()
        if self._n_samples == 0:
            self._shifts = [column_means(X) for X in values]
        pairs = pairs_of(len(values))
        matrices = block_moments(values, pairs, self._shifts, where, self._n_threads)
        if where.kind == "host" or where.library not in ("torch", "cupy"):
            from consilience.backends._offsets import to_host

            matrices = [to_host(matrix) for matrix in matrices]
            if self._home is None:
                self._home = Sums(self._shifts, matrices)
            else:
                self._home.add(matrices)
        elif where in self._away:
            self._away[where].add(matrices)
        else:
            self._away[where] = Sums(self._shifts, matrices)

    @staticmethod
    def _install() -> None:
        from consilience.backends import select

        select("native", [])

    def _widen(self, high: list[Floats], low: list[Floats]) -> None:
        self._high = list(map(np.maximum, self._high, high)) if self._high else high
        self._low = list(map(np.minimum, self._low, low)) if self._low else low

    def _follow(self) -> None:
        """Move the shifts to the means where these have gone far, looked at as n doubles."""
        if self._n_samples < 2 * self._checked:
            return
        self._checked = self._n_samples
        sums = self._settled()
        if sums.drifted():
            self._home = sums.moved(sums.means())
            self._shifts = self._home.shifts

    def _settled(self) -> Sums:
        """Return all sums, brought home."""
        from consilience.backends._offsets import to_host

        for there in self._away.values():
            matrices = [to_host(matrix) for matrix in there.matrices]
            if self._home is None:
                self._home = Sums(there.shifts, [np.array(matrix) for matrix in matrices])
            else:
                self._home.add(matrices)
        self._away = {}
        if self._home is None:
            raise ValueError("no rows yet: `update` first")
        return self._home

    def merge(self, other: Moments) -> Self:
        """Add all rows of another accumulator of the same models, which stays as it is.

        Exact whatever the shifts of the two; in any order and grouping the same to rounding.

        Returns
        -------
        Moments
            Itself.

        Raises
        ------
        ValueError
            If models, widths or `normalize` differ.
        """
        if not isinstance(other, Moments):
            raise TypeError(f"`other` must be Moments, got {type(other).__name__}")
        ours, theirs = ((acc._names, acc._widths, acc._normalize) for acc in (self, other))
        if self._widths and other._widths and ours != theirs:
            raise ValueError(f"only moments of the same models can be merged: {self!r}, {other!r}")
        if self._normalize != other._normalize:
            raise ValueError(
                "rows were normalised differently: "
                f"normalize={self._normalize!r} and {other._normalize!r}"
            )
        if other._n_samples == 0:
            return self
        if not self._widths:
            self._names, self._widths = other._names, other._widths
        added = other._settled()
        if self._n_samples == 0:
            self._home = Sums(list(added.shifts), [matrix.copy() for matrix in added.matrices])
        else:
            self._home = joined(self._settled(), added)
        self._shifts = self._home.shifts
        self._n_samples += other._n_samples
        self._checked = self._n_samples
        self._widen(list(other._high), list(other._low))
        return self

    def compute(
        self, metric: str, pair: tuple[int | str, int | str] | None = None, **settings: Any
    ) -> float:
        """Return the score of two models over all rows so far.

        Parameters
        ----------
        metric : str
            The name of a metric that reads moments alone.
        pair : two names or places, optional
            Which models, in this direction; may be left out where there are two.
        **settings
            Of the metric, as its function takes them: `debiased`, `rcond`, ...

        Returns
        -------
        float
            Of a directed metric, from the first of the pair to the second.

        Raises
        ------
        ValueError
            If the metric reads more than moments, rows are too few, or a model is constant.
        """
        if pair is None:
            if len(self._widths) > 2 or len(self._widths) == 1:
                raise ValueError(
                    f"there are {len(self._widths)} models: name two of {list(self._names)} as "
                    "`pair`, or ask for the `matrix` of all"
                )
            pair = (0, 1)
        chosen = self._chosen(metric, settings)
        a, b = (self._place(model) for model in pair)
        held = self._held([a, b])
        chosen.check(held)
        return float(chosen.score(held, a, b).value)

    def matrix(self, metric: str, **settings: Any) -> Floats:
        """Return the scores of all pairs of models, (n_models, n_models); see `compute`.

        Row a, column b of a directed metric is the score from a to b.
        """
        chosen = self._chosen(metric, settings)
        models = range(len(self._widths))
        held = self._held(models)
        chosen.check(held)
        return np.array([[chosen.score(held, a, b).value for b in models] for a in models])

    def _place(self, model: int | str) -> int:
        if isinstance(model, str):
            check_choice(model, "pair", self._names)
            return self._names.index(model)
        check_integer(model, "pair", 0)
        if model >= len(self._widths):
            raise ValueError(f"`pair` names model {model} of {len(self._widths)}")
        return int(model)

    def _chosen(self, metric: str, settings: Mapping[str, Any]) -> Any:
        """Return the metric with its settings, if moments of these rows are all it reads."""
        from consilience._evaluate import metric_with

        wanted = dict(settings)
        given = wanted.setdefault("normalize", self._normalize)
        if given != self._normalize:
            raise ValueError(
                f"rows were accumulated with normalize={self._normalize!r}, and {given!r} is "
                "asked for: say so when the accumulator is made"
            )
        try:
            _, chosen = metric_with(metric, wanted)
        except ValueError as error:
            if "'normalize'" not in str(error):
                raise
            del wanted["normalize"]
            _, chosen = metric_with(metric, wanted)
        if any(not isinstance(need, MomentNeed) for need in chosen.needs()):
            raise ValueError(
                f"{metric!r} with these settings reads more than moments: it compares samples "
                "with each other. Keep the rows and use its function, or `StreamingHSIC` for a "
                "kernel"
            )
        return chosen

    def _held(self, models: Sequence[int]) -> _Held:
        sums = self._settled()
        for m in models:
            check_spread(self._high[m], self._low[m], self._n_samples, self._names[m])
        return _Held(sums, self._names, self._n_samples, self._normalize)

    def save(self, path: str | Path) -> None:
        """Write everything to one .npz, without pickles; whole or not at all."""
        from consilience._files import write_durably

        arrays: dict[str, Any] = {
            "format": np.array(FORMAT),
            "names": np.array(self._names, dtype=str),
            "widths": np.array(self._widths, dtype=np.int64),
            "normalize": np.array(self._normalize),
            "n_samples": np.array(self._n_samples),
        }
        if self._n_samples:
            sums = self._settled()
            for m in range(len(self._widths)):
                arrays |= {f"shift {m}": sums.shifts[m]}
                arrays |= {f"high {m}": self._high[m], f"low {m}": self._low[m]}
            for (a, b), matrix in zip(pairs_of(len(self._widths)), sums.matrices, strict=True):
                arrays[f"matrix {a} {b}"] = matrix
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **arrays)
        write_durably(Path(path), file.getbuffer())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            If the file is not one of moments, or is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                return cls._from(stored)
        except (OSError, KeyError, ValueError, EOFError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise ValueError(f"{path} holds no moments that can be read: {error}") from error

    @classmethod
    def _of(
        cls,
        names: Sequence[str] | None,
        normalize: RowNormalize,
        sums: Sums,
        high: list[Floats],
        low: list[Floats],
    ) -> Self:
        """Return the accumulator that holds these."""
        made = cls(normalize=normalize)
        made._set_models(names, [len(shift) for shift in sums.shifts])
        made._home, made._shifts, made._high, made._low = sums, sums.shifts, high, low
        made._n_samples = made._checked = round(float(sums.matrices[0][-1, -1]))
        return made

    @classmethod
    def _from(cls, stored: Any) -> Self:
        if str(stored["format"]) != FORMAT:
            raise ValueError(f"its format is {str(stored['format'])!r}, wanted {FORMAT!r}")
        normalize: Any = str(stored["normalize"])
        names = [str(name) for name in stored["names"]]
        widths = [int(width) for width in stored["widths"]]
        if int(stored["n_samples"]) == 0:
            return cls(dict(zip(names, widths, strict=True)) or None, normalize=normalize)

        def array(name: str, *shape: int) -> Floats:
            found = np.ascontiguousarray(stored[name])
            if found.dtype != np.float64 or found.shape != shape or not np.isfinite(found).all():
                raise ValueError(f"{name!r} is not {shape} of finite float64")
            return found

        shifts, high, low = (
            [array(f"{what} {m}", width) for m, width in enumerate(widths)]
            for what in ("shift", "high", "low")
        )
        matrices = [
            array(f"matrix {a} {b}", widths[a] + 2, widths[b] + 2) for a, b in pairs_of(len(widths))
        ]
        if any(matrix[-1, -1] != int(stored["n_samples"]) for matrix in matrices):
            raise ValueError("its sums are of another number of rows than it says")
        return cls._of(names, normalize, Sums(shifts, matrices), high, low)

    def __getstate__(self) -> dict[str, Any]:
        if self._away:
            self._settled()
        return self.__dict__.copy()


class _Held:
    """What the formula of a metric reads, from sums that are there already."""

    nulls = False

    def __init__(
        self, sums: Sums, names: tuple[str, ...], n_samples: int, normalize: RowNormalize
    ) -> None:
        self.n_samples = n_samples
        self._sums, self._names, self._view = sums, names, View(normalize)
        self._made: dict[Any, Any] = {}

    def name(self, m: int) -> str:
        return self._names[m]

    def moments(self, a: int, b: int, need: MomentNeed) -> CenteredMoments:
        assert need.view == self._view
        return self.derived((a, b), "moments", lambda: self._sums.centered(a, b))

    def derived(self, models: tuple[int, ...], key: Any, make: Callable[[], T]) -> T:
        if (models, key) not in self._made:
            self._made[models, key] = make()
        return self._made[models, key]  # type: ignore[no-any-return]
