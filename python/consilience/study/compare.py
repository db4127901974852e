"""Every pair of models under every metric."""

from __future__ import annotations

import datetime
import platform
import time
import warnings
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience._evaluate import Terms, metric_with, terms_of
from consilience._memory import as_bytes, bounded
from consilience._validate import check_choice, check_integer
from consilience.backends.striped import striping
from consilience.metrics import PRESETS
from consilience.metrics._graph import METHODS, SearchSettings
from consilience.metrics._registry import Registered, Score
from consilience.metrics._rows import RowSettings
from consilience.needs import Method, MomentNeed, SampleNeed
from consilience.store import StoredEmbeddings, align
from consilience.study._errors import INTERVALS, Intervals, sampled, std_errors, wider_needs
from consilience.study._nulls import NULL_MODES, Chance, NullMode, by_law
from consilience.study._previous import Known, known_scores
from consilience.study._work import do_work
from consilience.study.score_matrix import ScoreMatrix
from consilience.study.scores import OPTIONAL, Scores
from consilience.terms import Floats

if TYPE_CHECKING:
    from distributed import Client

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

    def own(self, cell: tuple[int, ...]) -> bool:
        """Return whether the cell compares a model with itself."""
        return self.registered.kind != "single" and cell[0] == cell[-1]


def compare(
    models: Mapping[str, Any],
    metrics: Iterable[Request] | None = None,
    *,
    preset: str | None = None,
    neighbors: Method = "exact",
    rows: int | None = None,
    null: NullMode | None = "auto",
    permutations: int = 200,
    seed: int = 0,
    intervals: Intervals | None = "auto",
    previous: ScoreMatrix | None = None,
    progress: bool = False,
    backend: str = "auto",
    device: str = "auto",
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    client: Executor | Client | None = None,
    checkpoint: str | Path | None = None,
) -> ScoreMatrix:
    """Score every pair of models under every metric.

    Terms are shared: each model's neighbours, each pair's sums and so on are made once for all
    metrics that read them, and sweeps over pairs of samples serve all models at once.

    Parameters
    ----------
    models : mapping from name to array of shape (n_samples, n_features)
        Row i of every array comes from the same sample. Or from name to `StoredEmbeddings`, which
        are aligned by sample id and must hold the same samples.
    metrics : list of metric names or (name, settings), optional
        For example ``["cknna", ("mutual_knn", {"k": 5})]``.
    preset : "matter" or "prh", optional
        The settings of arXiv:2512.03750, or of platonic-rep. "matter" if neither is given.
        Entries that need more samples than there are, are left out with a warning.
    neighbors : "exact" or "approx"
        "approx" searches faster and may miss some neighbours: each score's details have the
        recall of both models, estimated from exact lists of some rows, with its interval. For the
        metrics that allow it and say nothing of their own; a warning names the others. Few samples
        are searched exactly all the same, and have no recall.
    rows : int, optional
        Exact neighbours and ranks of a seeded sample of so many rows alone, the same for all
        models, among all samples. A mean over rows is then without bias that of all rows, a
        function of such means nearly so. ``details["rows_std_error"]`` is the error that this
        adds, so of the score as an estimate of the score over all rows; the standard errors
        include it. For the metrics that allow it, which are then not searched by "approx" too; all
        rows are taken where there are no more than `rows`. No p-values, as a relabelled sample may
        be one without neighbours; but `information_imbalance` takes null="permutation".
    null : "auto", "closed", "permutation" or None
        Where p-values and calibrated scores come from. "auto": from `permutations` relabellings
        where one costs O(n_samples · k), as for all neighbour graphs; else from the closed-form
        moments and a fitted gamma law, where there are any. "closed": the latter wherever it is
        known. "permutation": relabellings for every metric; one costs about what the pair costs
        without its neighbour graphs, so mind `information_imbalance`, `id_correlation`,
        `distance_correlation`, `rsa` and RBF kernels on many samples. None: neither. Moments in
        closed form are given in any case.
    permutations, seed : int
        How many relabellings, and which; the same ones for all pairs and metrics. The seed also
        says which rows, and how an approximate search starts.
    intervals : "auto", "subsample" or None
        Where standard errors come from. "auto": the rows or pairs of rows that a score is a
        mean of, and what their dependence adds. "subsample": also scores of random halves, for
        the metrics that are no such mean; about 8 times the time of those metrics.
    previous : ScoreMatrix, optional
        An earlier comparison of the same samples. Pairs of models that it holds, under the same
        metric, settings, null and intervals, are taken from it and not computed. Whether a
        model's rows are still the same cannot be told from a name and a width: leave changed
        models out by `previous.subset`.
    progress : bool
        Show a bar with the time left.
    backend, n_threads : how to run; no result depends on the number of threads.
    device : "auto" (where the arrays are), "cuda" (on the GPU: they are brought there) or "cpu".
    max_memory : int or str, optional
        Bytes an op may use beyond the embeddings and its result, or like "4GiB"; of embeddings
        that are mapped from files, what is in memory is counted as well.
    client : concurrent.futures.Executor or dask.distributed.Client, optional
        Who does the heavy work: searches, ranks and sums, cut by rows into tasks that open the
        embeddings by path. The same scores as without, sums to 1e-12 (docs/scaling.md).
        `n_threads` and `max_memory` are then those of a task.
    checkpoint : path, optional
        Folder for what such tasks find, with a client or without: after an interruption, the same
        comparison goes on from there. All workers must see it under the same path. It may be
        removed at any time.

    Returns
    -------
    ScoreMatrix

    Raises
    ------
    ValueError
        On fewer than two models, different n_samples, an unknown metric or preset (with the
        nearest name), an input that a metric is not defined for, or a `previous` of another
        number of samples.
    FileExistsError
        If another process works with `checkpoint`.
    ConnectionError
        If workers or their scheduler are lost for good.

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> X = np.random.default_rng(0).standard_normal((100, 8))
    >>> m = cs.compare({"a": X, "b": X @ np.eye(8)[::-1]}, ["cka", ("mutual_knn", {"k": 5})])
    >>> m["mutual_knn"].tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    max_memory = as_bytes(max_memory)
    arrays = _arrays(models)
    run = {"backend": backend, "device": device, "n_threads": n_threads, "max_memory": max_memory}
    with (
        bounded(arrays.values(), max_memory),
        striping(client, checkpoint, **run) as around,
    ):
        return _compare(
            arrays,
            metrics,
            preset=preset,
            neighbors=neighbors,
            rows=rows,
            null=null,
            permutations=permutations,
            seed=seed,
            intervals=intervals,
            previous=previous,
            progress=progress,
            run=run | {"around": around},
        )


def _compare(
    models: Mapping[str, Any],
    metrics: Iterable[Request] | None,
    *,
    preset: str | None,
    neighbors: Method,
    rows: int | None,
    null: NullMode | None,
    permutations: int,
    seed: int,
    intervals: Intervals | None,
    previous: ScoreMatrix | None,
    progress: bool,
    run: Mapping[str, Any],
) -> ScoreMatrix:
    started = time.perf_counter()
    inference = _inference(null, permutations, seed, intervals)
    columns = _columns(metrics, preset)
    terms = terms_of(models.items(), [], [], **run)
    columns, all_pairs = _searched(columns, terms.n_samples, neighbors, rows, seed)
    columns, skipped = _feasible(columns, terms, lenient=metrics is None)
    _check_null(null, columns, terms)
    known = known_scores(
        previous,
        {name: terms.dims(a) for a, name in enumerate(models)},
        terms.n_samples,
        {column.label: (column.registered.name, column.metric.settings) for column in columns},
        inference,
    )
    cells = [_cells(column, len(models), known) for column in columns]
    terms.pairs = sorted({(cell[0], cell[-1]) for some in cells for cell in some})
    terms.needs = _needs([column.metric for column in columns], intervals, terms.n_samples)
    asked = [(column.metric, some) for column, some in zip(columns, cells, strict=True)]
    do_work(terms, [(*one, by_law(one[0], null)) for one in asked], progress=progress)
    threads = getattr(terms.ops, "n_threads", 1)
    metrics_alone = [column.metric for column in columns]
    chance = Chance.of(null, metrics_alone, terms.n_samples, permutations, seed, threads)
    found = [
        {cell: column.metric.score(terms, *cell) for cell in some}
        for column, some in zip(columns, cells, strict=True)
    ]
    errors = std_errors(
        [
            (column.metric, {cell: s for cell, s in some.items() if not column.own(cell)})
            for column, some in zip(columns, found, strict=True)
        ],
        terms,
        intervals,
    )
    scores = {
        column.label: _scores(column, terms, some, of_some, chance, known)
        for column, some, of_some in zip(columns, found, errors, strict=True)
    }
    seconds = time.perf_counter() - started
    return ScoreMatrix(
        names=tuple(models),
        n_samples=terms.n_samples,
        dims=tuple(terms.dims(a) for a in range(len(models))),
        scores=scores,
        provenance=_provenance(terms, preset, skipped, seconds)
        | {"inference": inference}
        | _search_facts(columns, scores, all_pairs, terms),
    )


def _arrays(models: Mapping[str, Any]) -> dict[str, Any]:
    """Return the models' arrays; the rows of stores in the order of the first."""
    if not isinstance(models, Mapping):
        raise TypeError(
            f"`models` must map names to arrays, got {type(models).__name__}; "
            'for example {"model A": X, "model B": Y}'
        )
    if len(models) < 2:
        raise ValueError(f"`models` must name at least two models, got {len(models)}")
    stored = {name: one for name, one in models.items() if isinstance(one, StoredEmbeddings)}
    if stored and len(stored) < len(models):
        other = next(name for name in models if name not in stored)
        raise ValueError(
            f"{next(iter(stored))!r} is a store with sample ids and {other!r} a plain array; give "
            "either, as rows cannot be matched between them"
        )
    if not stored:
        return dict(models)
    _, arrays = align(list(stored.values()), how="error")
    return dict(zip(stored, arrays, strict=True))


def _inference(
    null: str | None, permutations: int, seed: int, intervals: str | None
) -> dict[str, Any]:
    if null is not None:
        check_choice(null, "null", NULL_MODES)
    if intervals is not None:
        check_choice(intervals, "intervals", INTERVALS)
    check_integer(permutations, "permutations", 1)
    check_integer(seed, "seed", 0)
    return {"null": null, "permutations": permutations, "seed": seed, "intervals": intervals}


def _needs(metrics: list[Any], intervals: str | None, n_samples: int) -> tuple[Any, ...]:
    needs = [need for metric in metrics for need in metric.needs()]
    if intervals is not None:
        needs += wider_needs(metrics, n_samples)
    return tuple(dict.fromkeys(needs))


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
    return _Column(label, *metric_with(name, settings))


def _searched(
    columns: list[_Column], n_samples: int, neighbors: Method, rows: int | None, seed: int
) -> tuple[list[_Column], dict[str, str]]:
    """Return the columns searched as asked for, and why some cannot be."""
    check_choice(neighbors, "neighbors", METHODS)
    if rows is not None:
        check_integer(rows, "rows", 3)
    wanted: list[dict[str, Any]] = []
    if rows is not None and rows < n_samples:
        wanted.append({"rows": rows, "seed": seed})
    if neighbors == "approx":
        wanted.append({"neighbors": neighbors, "seed": seed})
    if not wanted:
        return columns, {}
    found, reasons = [], {}
    for column in columns:
        metric, reason = _search_as(column.metric, wanted)
        found.append(replace(column, metric=metric))
        if reason:
            reasons[column.label] = reason
    if reasons:
        told = "; ".join(f"{label}: {reason}" for label, reason in reasons.items())
        warnings.warn(f"all pairs of samples are searched for some metrics. {told}", stacklevel=4)
    return found, reasons


def _search_as(metric: Any, wanted: list[dict[str, Any]]) -> tuple[Any, str]:
    """Return the metric with the first of the searches that it allows, or why it allows none."""
    if all(isinstance(need, (MomentNeed, SampleNeed)) for need in metric.needs()):
        return metric, ""
    if not isinstance(metric, RowSettings):
        return metric, "it reads all pairs of samples"
    searched = isinstance(metric, SearchSettings)
    if metric.rows is not None or (searched and metric.neighbors == "approx"):
        return metric, ""
    reasons = []
    for search in wanted:
        if "neighbors" in search and not searched:
            reasons.append("it reads all pairs of samples, or those of some `rows`")
            continue
        try:
            return replace(metric, **search), ""
        except ValueError as error:
            reasons.append(str(error))
    return metric, "; ".join(reasons)


def _check_null(null: str | None, columns: list[_Column], terms: Terms) -> None:
    for column in columns:
        metric = column.metric
        if null == "permutation" and sampled(metric, terms) and not metric.relabels_rows:
            raise ValueError(
                f"{column.label}: relabelled samples would be neighbours of rows that have none; "
                'leave `rows` out, or take null="auto"'
            )


def _search_facts(
    columns: list[_Column],
    scores: Mapping[str, Scores],
    all_pairs: Mapping[str, str],
    terms: Terms,
) -> dict[str, Any]:
    """Return whether all neighbours are exact and, of each metric that is searched, how."""
    facts: dict[str, str] = {}
    for column in columns:
        details = scores[column.label].details
        if sampled(column.metric, terms):
            facts[column.label] = (
                f"exact, of {column.metric.rows} of {terms.n_samples} rows "
                f"(seed {column.metric.seed})"
            )
        elif getattr(column.metric, "neighbors", "exact") == "approx":
            approximate = any(name.startswith("recall") for name in details)
            facts[column.label] = (
                f"approximate, {_least_recall(details)}"
                if approximate
                else "exact, as there are so few samples"
            )
        elif column.label in all_pairs:
            facts[column.label] = f"exact, of all rows: {all_pairs[column.label]}"
    approximate = any(text.startswith("approximate") for text in facts.values())
    return {"exact": not approximate} | ({"neighbors": facts} if facts else {})


def _least_recall(details: Mapping[str, Floats]) -> str:
    """Return the recall of the model whose lists miss most, with its interval."""
    low, middle, high = (
        float(min(np.nanmin(details[f"{name}{side}"]) for side in sides))
        for sides in [("_a", "_b") if "recall_a" in details else ("",)]
        for name in ("recall_low", "recall", "recall_high")
    )
    return f"least recall of a model {middle:.4f} ({low:.4f} to {high:.4f})"


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
            warnings.warn(f"{column.label} is left out: {error}", stacklevel=4)
        else:
            kept.append(column)
    if not kept:
        raise ValueError(f"too few samples for every metric: n_samples={terms.n_samples}")
    return kept, skipped


def _cells(column: _Column, n_models: int, known: Known) -> list[tuple[int, ...]]:
    """Return the cells to score: a symmetric metric once a pair, and none that is known."""
    if column.registered.kind == "single":
        cells: list[tuple[int, ...]] = [(a,) for a in range(n_models)]
    else:
        cells = [(a, b) for a in range(n_models) for b in range(n_models)]
    return [
        cell
        for cell in cells
        if not (column.symmetric and cell[-1] < cell[0]) and not known.holds(column.label, cell)
    ]


def _scores(
    column: _Column,
    terms: Terms,
    found: Mapping[tuple[int, ...], Score],
    errors: Floats,
    chance: Chance,
    known: Known,
) -> Scores:
    registered, label = column.registered, column.label
    n = len(terms.sets)
    shape = (n,) if registered.kind == "single" else (n, n)

    def blank(name: str) -> Floats:
        array = np.full(shape, np.nan)
        known.fill(label, name, array)
        return array

    arrays = {name: blank(name) for name in ("values", *OPTIONAL)}
    details = {name: blank(name) for name in known.details(label)}
    remaining = iter(errors.tolist())
    for cell, score in found.items():
        mirror = cell[::-1] if column.symmetric else cell
        numbers = {"values": score.value}
        if not column.own(cell):
            # A model is never unrelated to itself: no null on the diagonal, and no error.
            numbers["std_error"] = next(remaining)
            if registered.kind != "single":
                numbers |= _chance(column.metric, terms, cell, score, chance)
        for name, value in numbers.items():
            arrays[name][cell] = arrays[name][mirror] = value
        for name, value in score.details.items():
            mirrored = name[:-2] + _OTHER_SIDE.get(name[-2:], name[-2:])
            for key, at in ((name, cell), (mirrored, mirror)):
                if key not in details:
                    details[key] = np.full(shape, np.nan)
                details[key][at] = value
    present = {name: None if np.isnan(array).all() else array for name, array in arrays.items()}
    return Scores(
        label=label,
        metric=registered.name,
        kind=registered.kind,
        settings=column.metric.settings,
        bounds=registered.bounds,
        symmetric=column.symmetric,
        values=arrays["values"],
        null_mean=present["null_mean"],
        null_std=present["null_std"],
        std_error=present["std_error"],
        details=details,
        p_value=present["p_value"],
        calibrated=present["calibrated"],
    )


def _chance(
    metric: Any, terms: Terms, cell: tuple[int, ...], score: Score, chance: Chance
) -> dict[str, float]:
    moments = {}
    if score.null is not None:
        moments["null_mean"] = score.null.mean
        if score.null.std is not None:
            moments["null_std"] = score.null.std
    return moments | chance.numbers(metric, terms, cell[0], cell[1], score)


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
        "precision": "float64 sums; neighbours and ranks judged in float64",
        "dtypes": {s.name: s.dtype for s in terms.sets},
        "seconds": round(seconds, 3),
        "skipped": skipped,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
    }
