"""What is raced: each work of the targets, at its size, with our call and what its answer must be.

Rivals register beside it (`peers/`), so that a race is a row of this file and a function there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import definitions
import numpy as np
import real_data
from numpy.testing import assert_allclose, assert_array_equal
from workloads import blocked_floor, embedding, moment_floor

import consilience as cs
from consilience.backends.native import NativeBackend

Array = np.ndarray[Any, Any]
Sets = tuple[Array, ...]
K = 25
CHECKED_ROWS = 2_000


@dataclass(frozen=True)
class Work:
    """One row of the targets.

    name : of the group in the results.
    n : samples of the target; `peers_n`, samples at which the slower peers are run too.
    inputs : n -> sets.
    ours : (*sets, n_threads) -> answer.
    check : (answer, *sets) asserts it against a definition in float64; may return what to note.
    floor : the matrix products that the ratio is of; None if the limit is of a rival.
    limit : ratio that is wanted; None for a work that has none.
    limit_is_of : the rival whose time the ratio is of, where it is not the floor.
    op : what the backend must have.
    agree : (answer, ours, *sets) asserts a rival's answer, returns what to note of it.
    data : the real set it is on, if any.
    """

    name: str
    n: int
    inputs: Callable[[int], Sets]
    ours: Callable[..., Any]
    check: Callable[..., Any]
    agree: Callable[..., dict[str, Any]]
    floor: Callable[..., Callable[[], Any]] | None = blocked_floor
    limit: float | None = None
    limit_is_of: str | None = None
    op: str = "knn_exact"
    peers_n: int | None = None
    rounds: int = 3
    data: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """What rivals register for: the name without the data it is on."""
        return self.name.partition(",")[0]


# ---- data ----------------------------------------------------------------------------------


@functools.lru_cache(maxsize=2)
def isotropic(n: int, d: int = 256) -> Array:
    return np.random.default_rng(5).standard_normal((n, d), dtype=np.float32)


def one_isotropic(n: int) -> Sets:
    return (isotropic(n),)


def one_latent(n: int) -> Sets:
    """16 directions and noise."""
    return (embedding(n, 256),)


def pair(n: int) -> Sets:
    return embedding(n, 256, 0), embedding(n, 512, 1)


def real(name: str) -> Callable[[int], Sets]:
    return lambda n: (real_data.load(name)[:n],)


# ---- exact neighbours ----------------------------------------------------------------------


def graph(X: Array, *, n_threads: int, k: int = K) -> tuple[Array, Array]:
    indices, distances = cs.neighbors(X, k=k, backend="native", n_threads=n_threads)[:2]
    return indices, distances


def check_graph(answer: tuple[Array, Array], X: Array, k: int = K) -> None:
    """Neighbour by neighbour against brute force on seeded rows, and on all rows unpruned."""
    indices, distances = answer
    rows = np.sort(np.random.default_rng(7).permutation(len(X))[:CHECKED_ROWS])
    expected, expected_distances = definitions.nearest(X, rows, k)
    assert_array_equal(indices[rows], expected)
    assert_allclose(distances[rows], expected_distances, rtol=1e-13)
    whole, whole_distances = unpruned(X, k)
    assert_array_equal(indices, whole)
    assert_array_equal(distances, whole_distances)


def unpruned(X: Array, k: int) -> tuple[Array, Array]:
    """Return the graph from the kernel that looks at every pair."""
    from unittest import mock

    with mock.patch("consilience.backends.native.pruning_axes", return_value=None) as axes:
        found = graph(X, n_threads=2, k=k)
    assert axes.called or len(X) < 2_000
    return found


def agree_graph(found: Array, ours: tuple[Array, Array], *sets: Array) -> dict[str, Any]:
    """Return the recall of a rival's lists; nothing it lists is nearer than what we list."""
    indices, distances = ours
    shared = sum(len(np.intersect1d(a, b)) for a, b in zip(indices, found, strict=True))
    theirs = np.sort(definitions.listed_distances(sets[0], found), axis=1)
    assert (distances <= theirs * (1 + 1e-12)).all()
    return {"recall": round(shared / indices.size, 4)}


# ---- approximate neighbours ----------------------------------------------------------------


def approximate(X: Array, *, n_threads: int) -> tuple[Array, Any]:
    run = NativeBackend.for_arrays([X], n_threads=n_threads, max_memory=None)
    found = run.knn_approx(X, k=K, distance="l2")
    return found.indices, found.recall


def recall_of(indices: Array, X: Array) -> float:
    """Return the share of the true neighbours of seeded rows that is listed."""
    rows = np.sort(np.random.default_rng(7).permutation(len(X))[:CHECKED_ROWS])
    expected, _ = definitions.nearest(X, rows, K)
    shared = [len(np.intersect1d(a, b)) for a, b in zip(indices[rows], expected, strict=True)]
    return float(np.mean(shared)) / K


def check_recall(answer: tuple[Array, Any], X: Array) -> dict[str, Any]:
    """The recall that came with the graph is that of other rows, by brute force."""
    indices, certificate = answer
    recall = recall_of(indices, X)
    if certificate is None:  # so few samples that the graph is exact
        assert recall == 1.0
    else:
        assert certificate.low - 0.01 <= recall <= certificate.high + 0.01
    return {"recall": round(recall, 4)}


def note_recall(found: Array, ours: Any, *sets: Array) -> dict[str, Any]:
    recall = recall_of(found, sets[0])
    assert recall > 0.5
    return {"recall": round(recall, 4)}


def approximate_graph(what: str, n: int, inputs: Any, **more: Any) -> Work:
    return Work(
        f"approximate neighbours, {what}",
        n,
        inputs,
        approximate,
        check_recall,
        note_recall,
        floor=None,
        limit=0.5,
        limit_is_of="pynndescent(26)",
        op="knn_approx",
        rounds=1,
        **more,
    )


# ---- scores --------------------------------------------------------------------------------


def agree_score(rtol: float) -> Callable[..., dict[str, Any]]:
    def agree(found: Any, ours: Any, *sets: Array) -> dict[str, Any]:
        assert_allclose(found, np.asarray(ours).ravel()[: np.size(found)], rtol=rtol)
        return {}

    return agree


def scored(metric: str, expected: Callable[..., Any], rtol: float, **settings: Any) -> Any:
    """Return (ours, check, settings) of a metric."""

    def ours(*sets: Array, n_threads: int) -> Any:
        return getattr(cs, metric)(*sets, backend="native", n_threads=n_threads, **settings)

    def check(answer: Any, *sets: Array) -> None:
        assert_allclose(answer, expected(*sets), rtol=rtol)

    return {"ours": ours, "check": check, "settings": settings}


def median_bandwidths(X: Array, Y: Array) -> tuple[float, float]:
    """Return the medians over all pairs, or over the seeded ones that are drawn for many rows."""
    from consilience.backends.base import sampled_pairs

    n = len(X)
    i, j = np.triu_indices(n, 1) if n <= 2048 else sampled_pairs(n, 1 << 19)

    def median(Z: Array) -> float:
        parts = [slice(start, start + 16_384) for start in range(0, len(i), 16_384)]
        found = [np.linalg.norm(Z[i[p]].astype(np.float64) - Z[j[p]], axis=1) for p in parts]
        return float(np.median(np.concatenate(found)))

    return median(X), median(Y)


FAMILY: tuple[Any, ...] = (
    "cka",
    ("cka", {"debiased": True}),
    "cca",
    "svcca",
    "pwcca",
    "procrustes",
)


def linear_family(X: Array, Y: Array, *, n_threads: int) -> dict[str, float]:
    how: dict[str, Any] = {"null": None, "intervals": None, "backend": "native"}
    matrix = cs.compare({"a": X, "b": Y}, list(FAMILY), n_threads=n_threads, **how)
    return {label: float(scores.values[0, 1]) for label, scores in matrix.scores.items()}


def check_family(answer: dict[str, float], X: Array, Y: Array) -> None:
    expected = definitions.linear_family(X, Y)
    values = list(answer.values())[: len(expected)]
    assert_allclose(values, list(expected.values()), rtol=1e-8)


def agree_family(found: float, ours: dict[str, float], *sets: Array) -> dict[str, Any]:
    assert_allclose(found, ours["cka"], rtol=1e-3)
    return {"note": "linear CKA alone"}


def matter(*sets: Array, n_threads: int) -> Any:
    named = {f"model {m}": X for m, X in enumerate(sets)}
    return cs.compare(named, preset="matter", backend="native", n_threads=n_threads)


def check_matter(matrix: Any, *sets: Array) -> None:
    """The pair of the first two, by the definitions; every score has its null."""
    X, Y = sets[:2]
    assert_allclose(matrix["cknna"][0, 1], definitions.cknna(X, Y, K), rtol=1e-6)
    assert_allclose(
        matrix["distance_correlation"][0, 1], definitions.distance_correlation(X, Y), rtol=1e-7
    )
    for scores in matrix.scores.values():
        off = ~np.eye(len(sets), dtype=bool)
        assert np.isfinite(scores.values).all()
        assert scores.p_value is None or np.isfinite(scores.p_value[off]).all()


# ---- the works -----------------------------------------------------------------------------


def exact_graph(what: str, n: int, inputs: Any, limit: float, **more: Any) -> Work:
    return Work(
        f"exact neighbours, {what}",
        n,
        inputs,
        graph,
        check_graph,
        agree_graph,
        limit=limit,
        **more,
    )


WORKS: Sequence[Work] = (
    exact_graph("isotropic", 50_000, one_isotropic, 0.65, peers_n=10_000, rounds=2),
    exact_graph("text", 50_000, real("text256"), 0.40, data="text256", rounds=2),
    exact_graph("chemnet", 40_000, real("chemnet"), 0.15, data="chemnet", rounds=2),
    exact_graph("aimnet2", 40_000, real("aimnet2"), 0.15, data="aimnet2", rounds=2),
    exact_graph("dmpnn", 40_000, real("dmpnn"), 0.15, data="dmpnn", rounds=2),
    approximate_graph("latent 100k", 100_000, one_latent),
    approximate_graph("latent 200k", 200_000, one_latent),
    approximate_graph("text", 100_000, real("text256"), data="text256"),
    Work(
        "mutual kNN",
        10_000,
        pair,
        limit=0.8,
        peers_n=4_000,
        agree=agree_score(2e-3),
        **scored("mutual_knn", functools.partial(definitions.mutual_knn, k=10), 1e-12, k=10),
    ),
    Work(
        "CKNNA",
        10_000,
        pair,
        limit=0.8,
        peers_n=4_000,
        agree=agree_score(2e-3),
        **scored("cknna", functools.partial(definitions.cknna, k=K), 1e-6, k=K),
    ),
    Work(
        "distance correlation",
        10_000,
        pair,
        limit=1.1,
        peers_n=4_000,
        agree=agree_score(1e-3),
        **scored("distance_correlation", definitions.distance_correlation, 1e-7),
    ),
    Work(
        "RBF CKA",
        10_000,
        pair,
        limit=1.2,
        peers_n=4_000,
        agree=agree_score(2e-2),
        **scored(
            "cka",
            lambda X, Y: definitions.rbf_cka(X, Y, median_bandwidths(X, Y)),
            1e-6,
            kernel="rbf",
            debiased=True,
        ),
    ),
    Work(
        "information imbalance",
        10_000,
        pair,
        limit=1.8,
        peers_n=4_000,
        rounds=2,
        agree=agree_score(1e-3),
        **scored(
            "information_imbalance",
            functools.partial(definitions.information_imbalance, k=1),
            1e-12,
            k=1,
        ),
    ),
    Work(
        "linear family",
        100_000,
        pair,
        linear_family,
        check_family,
        agree_family,
        floor=moment_floor,
        limit=1.3,
        peers_n=10_000,
    ),
    Work(
        "TwoNN",
        20_000,
        one_isotropic,
        limit=0.7,
        peers_n=5_000,
        agree=agree_score(1e-3),
        **scored("twonn", lambda X: definitions.twonn(definitions.nearest_distances(X, 2)), 1e-9),
    ),
    Work(
        "dimension MLE",
        20_000,
        one_isotropic,
        limit=0.7,
        peers_n=5_000,
        agree=agree_score(1e-3),
        **scored(
            "dimension_mle",
            lambda X: definitions.dimension_mle(definitions.nearest_distances(X, 20)),
            1e-9,
            k=20,
        ),
    ),
    Work(
        "matter",
        10_000,
        lambda n: tuple(embedding(n, 256, m) for m in range(8)),
        matter,
        check_matter,
        agree_score(1e-3),
        limit=2.0,
        rounds=1,
    ),
)
