"""Every pair of models under every metric."""

from __future__ import annotations

import datetime
import inspect
import platform
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience._evaluate import Terms, terms_of
from consilience._validate import check_choice
from consilience.metrics import METRICS, PRESETS
from consilience.metrics._registry import Registered, Score
from consilience.study.score_matrix import ScoreMatrix, Scores
from consilience.terms import Floats

Request = str | tuple[str, Mapping[str, Any]]


# A detail of model a, seen from the other side, is one of model b.
_OTHER_SIDE = {"_a": "_b", "_b": "_a"}


@dataclass(frozen=True)
class _Column:
    """One metric with settings, under its label."""

    label: str
    registered: Registered
    metric: Any

    @property
    def symmetric(self) -> bool:
        """Return whether these settings are symmetric; some break a metric's symmetry."""
        return bool(getattr(self.metric, "symmetric", self.registered.symmetric))


def compare(
    models: Mapping[str, Any],
    metrics: Iterable[Request] | None = None,
    *,
    preset: str | None = None,
    progress: bool = False,
    backend: str = "auto",
    n_threads: int | None = None,
    max_memory: int | None = None,
) -> ScoreMatrix:
    """Score every pair of models under every metric.

    Terms are shared: each model's neighbours, each pair's sums and so on are made once for all
    metrics that read them, and sweeps over pairs of samples serve all models at once.

    Parameters
    ----------
    models : mapping from name to array of shape (n_samples, n_features)
        Row i of every array comes from the same sample.
    metrics : list of metric names or (name, settings), optional
        For example ``["cknna", ("mutual_knn", {"k": 5})]``.
    preset : "matter" or "prh", optional
        The settings of arXiv:2512.03750, or of platonic-rep. "matter" if neither is given.
        Entries that need more samples than there are, are left out with a warning.
    progress : bool
        Show a bar with the time left.
    backend, n_threads : how to run; no result depends on the number of threads.
    max_memory : int, optional
        Bytes an op may use beyond the embeddings.

    Returns
    -------
    ScoreMatrix

    Raises
    ------
    ValueError
        On fewer than two models, different n_samples, an unknown metric or preset (with the
        nearest name), or an input that a metric is not defined for.

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> X = np.random.default_rng(0).standard_normal((100, 8))
    >>> m = cs.compare({"a": X, "b": X @ np.eye(8)[::-1]}, ["cka", ("mutual_knn", {"k": 5})])
    >>> m["mutual_knn"].tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    started = time.perf_counter()
    if not isinstance(models, Mapping):
        raise TypeError(
            f"`models` must map names to arrays, got {type(models).__name__}; "
            'for example {"model A": X, "model B": Y}'
        )
    if len(models) < 2:
        raise ValueError(f"`models` must name at least two models, got {len(models)}")
    columns = _columns(metrics, preset)
    n = len(models)
    pairs = [(a, b) for a in range(n) for b in range(n)]
    terms = terms_of(
        models.items(),
        [],
        pairs,
        backend=backend,
        n_threads=n_threads,
        max_memory=max_memory,
    )
    columns, skipped = _feasible(columns, terms, lenient=metrics is None)
    terms.needs = tuple(dict.fromkeys(n for column in columns for n in column.metric.needs()))
    _run(terms, progress)
    scores = {column.label: _scores(column, terms) for column in columns}
    return ScoreMatrix(
        names=tuple(models),
        n_samples=terms.n_samples,
        dims=tuple(terms.dims(a) for a in range(n)),
        scores=scores,
        provenance=_provenance(terms, preset, skipped, time.perf_counter() - started),
    )


def _columns(metrics: Iterable[Request] | None, preset: str | None) -> list[_Column]:
    if metrics is not None and preset is not None:
        raise ValueError("give `metrics` or `preset`, not both")
    if metrics is None:
        preset = preset or "matter"
        check_choice(preset, "preset", PRESETS)
        return [_column(label, name, settings) for label, name, settings in PRESETS[preset]]
    if isinstance(metrics, str):
        raise TypeError(f"`metrics` must be a list of metrics, got the string {metrics!r}")
    columns: dict[str, _Column] = {}
    for request in metrics:
        name, settings = (request, {}) if isinstance(request, str) else request
        label = name
        if settings:
            label += "[" + ",".join(f"{key}={value}" for key, value in settings.items()) + "]"
        label = name if name not in columns else label
        if label in columns:
            raise ValueError(f"`metrics` has {label!r} twice")
        columns[label] = _column(label, name, settings)
    if not columns:
        raise ValueError("`metrics` is empty")
    return list(columns.values())


def _column(label: str, name: str, settings: Mapping[str, Any]) -> _Column:
    check_choice(name, "metric", METRICS)
    registered = METRICS[name]
    try:
        return _Column(label, registered, registered.settings_type(**settings))
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        known = list(inspect.signature(registered.settings_type).parameters)
        raise ValueError(
            f"{name!r} has no setting {str(error).rpartition(' ')[2]}, but {known}"
        ) from error


def _feasible(
    columns: list[_Column], terms: Terms, *, lenient: bool
) -> tuple[list[_Column], dict[str, str]]:
    """Return the columns these samples suffice for; raise on the others unless lenient."""
    kept, skipped = [], {}
    for column in columns:
        try:
            column.metric.check(terms)
        except ValueError as error:
            if not lenient:
                raise
            skipped[column.label] = str(error)
            warnings.warn(f"{column.label} is left out: {error}", stacklevel=3)
        else:
            kept.append(column)
    if not kept:
        raise ValueError(f"too few samples for every metric: n_samples={terms.n_samples}")
    return kept, skipped


def _run(terms: Terms, progress: bool) -> None:
    steps = list(terms.steps())
    if not progress:
        for step in steps:
            step.run()
        return
    from tqdm import tqdm

    layout = "{l_bar}{bar}| {elapsed} < {remaining}"
    with tqdm(total=sum(step.cost for step in steps), bar_format=layout, disable=None) as bar:
        for step in steps:
            bar.set_description(step.label)
            step.run()
            bar.update(step.cost)
        bar.set_description("scores")


def _scores(column: _Column, terms: Terms) -> Scores:
    registered = column.registered
    n = len(terms.sets)
    shape = (n,) if registered.kind == "single" else (n, n)
    arrays = {name: np.full(shape, np.nan) for name in ("value", "mean", "std", "error")}
    details: dict[str, Floats] = {}
    for cell, mirror, score in _cells(column, terms):
        found = {
            "value": score.value,
            "mean": score.null.mean if score.null else None,
            "std": score.null.std if score.null else None,
            "error": score.std_error,
        }
        own = registered.kind != "single" and cell[0] == cell[-1]
        for name, value in found.items():
            # A model is never unrelated to itself: no null on the diagonal.
            if value is None or (own and name in ("mean", "std")):
                continue
            for at in (cell, mirror):
                arrays[name][at] = value
        for name, value in score.details.items():
            details.setdefault(name, np.full(shape, np.nan))[cell] = value
            mirrored = _OTHER_SIDE.get(name[-2:], name[-2:])
            mirrored = name[:-2] + mirrored
            details.setdefault(mirrored, np.full(shape, np.nan))[mirror] = value
    known = {name: None if np.isnan(array).all() else array for name, array in arrays.items()}
    return Scores(
        label=column.label,
        metric=registered.name,
        kind=registered.kind,
        settings=column.metric.settings,
        bounds=registered.bounds,
        symmetric=column.symmetric,
        values=arrays["value"],
        null_mean=known["mean"],
        null_std=known["std"],
        std_error=known["error"],
        details=details,
    )


def _cells(
    column: _Column, terms: Terms
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], Score]]:
    """Yield (cell, its mirror image, score); a symmetric metric is evaluated once a pair."""
    n = len(terms.sets)
    if column.registered.kind == "single":
        for a in range(n):
            yield (a,), (a,), column.metric.score(terms, a)
        return
    for a in range(n):
        for b in range(n):
            if column.symmetric and b < a:
                continue
            mirror = (b, a) if column.symmetric else (a, b)
            yield (a, b), mirror, column.metric.score(terms, a, b)


def _provenance(
    terms: Terms, preset: str | None, skipped: dict[str, str], seconds: float
) -> dict[str, Any]:
    from consilience import __version__

    return {
        "version": __version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "preset": preset,
        "backend": terms.ops.name,
        "n_threads": getattr(terms.ops, "n_threads", None),
        "precision": "float64 sums; neighbours and ranks exact in float64",
        "exact": True,
        "dtypes": {s.name: s.dtype for s in terms.sets},
        "seconds": round(seconds, 3),
        "skipped": skipped,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
    }
