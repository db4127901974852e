"""Centred kernel nearest-neighbour alignment."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from consilience._evaluate import score
from consilience._validate import check_choice, check_integer
from consilience.inference.laws import Law
from consilience.inference.permutation import mantel_moments
from consilience.metrics._graph import SearchSettings, proportional
from consilience.metrics._mantel import mantel_ahead, mantel_law
from consilience.metrics._registry import Ahead, Dependence, Null, Score, metric, models_in
from consilience.needs import EdgeNeed, Method, Normalize, View
from consilience.terms import Floats, Graph, GraphTerms, Indices


@dataclass(frozen=True)
class Cknna(SearchSettings):
    """Settings of `cknna`."""

    splits_at_once: ClassVar[bool] = True
    dependence: ClassVar[Dependence] = "lists"

    k: int = 25
    variant: Literal["paper", "prh-code"] = "paper"
    normalize: Normalize = "l2"
    unbiased: bool = True
    eps: float = 0.0

    def __post_init__(self) -> None:
        check_integer(self.k, "k", 1)
        check_choice(self.variant, "variant", ["paper", "prh-code"])
        if not (math.isfinite(self.eps) and self.eps >= 0.0):
            raise ValueError(f"`eps` must be at least 0 and finite, got {self.eps}")
        if self.variant == "paper" and (self.eps != 0.0 or not self.unbiased):
            raise ValueError('`eps` and `unbiased` belong to variant="prh-code"')
        super().__post_init__()

    @property
    def why_all_rows(self) -> str | None:  # type: ignore[override]
        """Return why `rows` cannot be given."""
        if self.variant == "paper":
            return None
        return (
            'its "prh-code" variant counts edges shared in both directions; leave `rows` out, '
            'or take variant="paper" or neighbors="approx"'
        )

    @property
    def least_samples(self) -> int:  # type: ignore[override]
        return 4 if self.variant == "prh-code" else 2

    @property
    def symmetric(self) -> bool:
        """Return whether X and Y may be exchanged: not so with a transposed product."""
        return self.variant == "paper"

    @property
    def quick_draws(self) -> bool:  # type: ignore[override]
        """Return whether a relabelling needs no more than a look at the edges of all rows."""
        return self.variant == "paper" and self.rows is None

    @cached_property
    def edges(self) -> EdgeNeed:
        """Return the graph and its edge values."""
        graph = self.search(View(self.normalize), "ip", self.k)
        return EdgeNeed(graph, centered=self.variant == "paper")

    def needs(self) -> tuple[EdgeNeed, ...]:
        """Return the terms the formula reads."""
        return (self.edges,)

    def score(self, terms: Any, a: int, b: int) -> Score:
        """Return the score of models a and b."""
        if self.variant == "paper":
            return self._paper(terms, a, b)
        return self._prh_code(terms, a, b)

    def _paper(self, terms: Any, a: int, b: int) -> Score:
        shared = terms.shared(a, b, self.edges)
        scale = self._scale(terms, a, b)
        value = float(np.add.reduce(shared.products)) / scale
        details = self.found(terms, a, b)
        # How the kernels of rows that are not scored sum up is not known.
        if not terms.nulls or self.sampled(terms):
            return Score(value, None, details)
        mean, variance = mantel_moments(
            terms.mantel(a, self.edges), terms.mantel(b, self.edges), terms.n_samples
        )
        return Score(value, Null(mean / scale, math.sqrt(variance) / scale), details)

    def _scale(self, terms: Any, a: int, b: int) -> float:
        """Return √(A(X, X) A(Y, Y)); a model's own serves all its pairs."""
        edges = self.edges

        def own(m: int) -> float:
            def make() -> float:
                total = float(np.add.reduce(terms.shared(m, m, edges).products))
                self._require_products(terms, m, defined=total != 0.0)
                return total

            return terms.derived((m,), ("own products", edges), make)  # type: ignore[no-any-return]

        return math.sqrt(own(a) * own(b))

    def _require_products(self, terms: Any, m: int, *, defined: bool) -> None:
        if not defined:
            raise ValueError(
                f"`{terms.name(m)}`: its centred kernel is 0 on all neighbours, so "
                "CKNNA is undefined"
            )

    def _products(self, terms: Any, a: int, b: int) -> tuple[Floats, Floats, Floats]:
        """Return each row's part of A(X, Y), A(X, X) and A(Y, Y)."""
        pairs = ((a, b), (a, a), (b, b))
        rows_ab, rows_aa, rows_bb = (terms.shared(x, y, self.edges).products for x, y in pairs)
        for model, rows in ((a, rows_aa), (b, rows_bb)):
            defined = not (rows.sum(axis=-1) == 0.0).any()
            self._require_products(terms, model, defined=defined)
        return rows_ab, rows_aa, rows_bb

    def ahead(self, terms: Any, cells: Sequence[tuple[int, ...]], *, law: bool) -> Iterator[Ahead]:
        """Yield what the null reads of each model."""
        if self.variant == "paper" and not self.sampled(terms):
            yield from mantel_ahead(terms, models_in(cells), self.edges, law=law)

    def influence(self, terms: Any, a: int, b: int) -> Floats | None:
        """Return what each row adds to the ratio of sums, to first order."""
        if self.variant != "paper":
            return None
        rows_ab, rows_aa, rows_bb = self._products(terms, a, b)
        self_ab, self_a, self_b = (
            rows.sum(axis=-1, keepdims=True) for rows in (rows_ab, rows_aa, rows_bb)
        )
        scale = np.sqrt(self_a * self_b)
        value = self_ab / scale
        change = rows_ab / scale - 0.5 * value * (rows_aa / self_a + rows_bb / self_b)
        return np.asarray(change.shape[-1] * change)

    def law(self, terms: Any, a: int, b: int, score: Score) -> Law | None:
        """Return a law with exact mean and variance, and the skewness of a block."""
        if self.variant != "paper" or self.sampled(terms):
            return None
        return mantel_law(terms, (a, self.edges), (b, self.edges), score)

    def draws(self, terms: Any, a: int, b: int, orders: Indices) -> Floats:
        """Return the score of a and each relabelled b."""
        if self.variant != "paper":
            return super().draws(terms, a, b, orders)
        draws = terms.mantel_draws(a, b, self.edges, orders)
        return np.asarray(draws / self._scale(terms, a, b))

    def among(self, n_samples: int, n_all: int) -> Cknna:
        """Return the settings that ask the same of fewer samples."""
        return replace(self, k=proportional(self.k, n_samples, n_all))

    def _prh_code(self, terms: Any, a: int, b: int) -> Score:
        hsic = self._masked_hsic
        hsic_aa, hsic_bb = hsic(terms, a, a), hsic(terms, b, b)
        if not (hsic_aa > 0.0 and hsic_bb > 0.0):
            raise ValueError(
                f"`{terms.name(a)}` or `{terms.name(b)}`: the HSIC of its masked kernel with "
                "itself is not positive, so this CKNNA is undefined; use variant='paper' or "
                "a larger k"
            )
        value = hsic(terms, a, b) / (math.sqrt(hsic_aa * hsic_bb) + self.eps)
        return Score(value, details=self.found(terms, a, b))

    def _masked_hsic(self, terms: Any, a: int, b: int) -> float:
        """Return HSIC of both kernels masked to the edges their graphs share."""
        if self.unbiased:
            shared = terms.graph_terms(a, b, self.edges)
            return _unbiased_masked(shared, terms.n_samples)
        graphs = [self._with_self(terms, m) for m in (a, b)]
        (x, e), (y, f) = graphs
        return _biased_masked(terms.ops.graph_terms(x, y, e, f), terms.n_samples)

    def shared_places(self, terms: Any, a: int, b: int) -> float:
        """Return how many neighbours the graphs of a and b share, of all samples together."""
        if self.unbiased:
            return float(terms.shared(a, b, self.edges.graph).overlap.sum())
        (x, _), (y, _) = (self._with_self(terms, m) for m in (a, b))
        return float(terms.ops.overlap_terms(x, y, None, None)[0].sum())

    def _with_self(self, terms: Any, m: int) -> tuple[Graph, Floats]:
        """Return graph and kernel values where the sample itself may take one of k places."""
        need = self.edges
        graph = terms.graph(m, need.graph)
        kernel = terms.edges(m, need)
        own = terms.self_products(m, need.graph.view)
        samples = np.arange(terms.n_samples)
        nearer = (kernel > own[:, None]) | (
            (kernel == own[:, None]) & (graph.indices < samples[:, None])
        )
        place = nearer.sum(axis=1)
        columns = np.arange(self.k)[None, :]
        source = np.where(columns > place[:, None], columns - 1, columns)
        is_self = columns == place[:, None]
        indices = np.where(
            is_self, samples[:, None], np.take_along_axis(graph.indices, source, axis=1)
        )
        values = np.where(is_self, own[:, None], np.take_along_axis(kernel, source, axis=1))
        return Graph(indices, graph.distances), values


def _unbiased_masked(t: GraphTerms, n: int) -> float:
    total_e, total_f = float(t.rows_e.sum()), float(t.rows_f.sum())
    value = float(t.reciprocal.sum()) + total_e * total_f / ((n - 1.0) * (n - 2.0))
    value -= 2.0 * float(t.columns_e @ t.rows_f) / (n - 2.0)
    return value / (n * (n - 3.0))


def _biased_masked(t: GraphTerms, n: int) -> float:
    """tr(P H Q H), multiplied out."""
    value = float(t.reciprocal.sum())
    value -= float(t.columns_f @ t.rows_e + t.columns_e @ t.rows_f) / n
    return value + float(t.rows_e.sum()) * float(t.rows_f.sum()) / (float(n) * n)


@metric(
    Cknna,
    bounds=(-1.0, 1.0),
    invariant_to={"rotation", "isotropic_scaling", "sample_order"},
    null="closed form",
)
def cknna(
    X: Any,
    Y: Any,
    *,
    k: int = 25,
    variant: Literal["paper", "prh-code"] = "paper",
    normalize: Normalize = "l2",
    unbiased: bool = True,
    eps: float = 0.0,
    neighbors: Method = "exact",
    rows: int | None = None,
    seed: int = 0,
    backend: str = "auto",
    device: str = "auto",
    n_threads: int | None = None,
) -> float:
    r"""Centred kernel nearest-neighbour alignment: CKA on the edges both graphs share.

    .. math:: \frac{A(X, Y)}{\sqrt{A(X, X)\,A(Y, Y)}}, \qquad
        A(X, Y) = \sum_{i, j} \alpha_{ij} \bar K_{ij} \bar L_{ij}, \qquad
        \bar K_{ij} = \langle x_i, x_j \rangle - \langle x_i, \bar x \rangle

    with :math:`\alpha_{ij} = 1` if j is among the k nearest of i (largest inner product, i
    itself excluded) in X and in Y.

    Parameters
    ----------
    X, Y : arrays of shape (n_samples, n_features_x) and (n_samples, n_features_y)
        Row i of X and row i of Y come from the same sample.
    k : int
        Neighbours of each sample; below n_samples.
    variant : "paper" or "prh-code"
        The formula above, or what the code of platonic-rep computes: Song et al.'s unbiased
        HSIC of the kernels masked by α, with a transposed product, in which only edges shared
        in both directions count.
    normalize : "none", "l2", "max" or "zscore"
    unbiased : bool
        For "prh-code": False takes tr(PHQH), and a sample may be its own neighbour.
    eps : float
        For "prh-code": added to the denominator (1e-6 there).
    neighbors, rows, seed : all neighbours, nearly all, or those of some samples; see `neighbors`.
    backend, n_threads : how to run; no result depends on the number of threads.
    device : "auto" (where the arrays are), "cuda" (on the GPU: they are brought there) or "cpu".

    Returns
    -------
    float
        Paper variant: symmetric and at most 1, exactly 1 for X with itself, at most
        k / (n_samples - 1) on average over relabelled samples. The prh-code variant is neither
        symmetric nor bounded by 1.

    Raises
    ------
    ValueError
        If k is not in [1, n_samples), a row is zero under "l2" or "max", or the
        denominator is not positive.

    Notes
    -----
    O(n_samples² · n_features) time in tiles for the graphs, O(n_samples · k · n_features) for
    the score.

    References
    ----------
    [huh2024]_ (equations 12, 16–18), [edamadaka2025]_ (A3–A8)

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> X = np.random.default_rng(0).standard_normal((60, 4))
    >>> cs.cknna(X, X, k=10)
    1.0
    """
    settings = Cknna(
        k, variant, normalize, unbiased, eps, neighbors=neighbors, rows=rows, seed=seed
    )
    return float(score(settings, X, Y, backend=backend, device=device, n_threads=n_threads).value)
