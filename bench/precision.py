"""What float32 pair tiles cost in digits: `python bench/precision.py [--n 1500]`.

Distance and RBF sums, and the dCor and CKA made of them, with float32 tiles forced and with the
tiles that the backend chooses, against dense float64 matrices from differences. Answers are
asserted; the table is what the limits in backends/native.py and csrc/cpu/pair_functions.hpp rest
on. Not a timing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
from scipy.spatial.distance import cdist

from consilience.backends import native
from consilience.backends.base import Channel
from consilience.metrics._kernels import of_sums

Array = np.ndarray[Any, Any]
DIMS = (8, 64, 512)
# Largest error allowed of a score, as the backend chooses its tiles.
SCORE_BOUND = 1e-7
# Largest error allowed of one float32 distance that is not recomputed from differences.
ENTRY_BOUND = 2.5e-5


@dataclass(frozen=True)
class Case:
    """Two sets and the name of what they are like."""

    kind: str
    X: Array
    Y: Array


def cases(n: int) -> Iterator[Case]:
    for d in DIMS:
        for kind in KINDS:
            yield Case(f"{kind}, d={d}", KINDS[kind](n, d, 0), KINDS[kind](n, d, 1))


def _noise(n: int, d: int, model: int) -> Array:
    """Return rows that both models share in half of their variance."""
    shared = np.random.default_rng(0).standard_normal((n, d))
    own = np.random.default_rng([1, model]).standard_normal((n, d))
    return shared + own


def gaussian(n: int, d: int, model: int) -> Array:
    return _noise(n, d, model).astype(np.float32)


def decaying(n: int, d: int, model: int) -> Array:
    return (_noise(n, d, model) / np.arange(1, d + 1)).astype(np.float32)


def clusters(n: int, d: int, model: int) -> Array:
    """Ten clusters of width 1 at distance 100."""
    rng = np.random.default_rng([2, model])
    centers = 100.0 * rng.standard_normal((10, d)) / np.sqrt(d)
    return (centers[np.arange(n) % 10] + _noise(n, d, model) / np.sqrt(d)).astype(np.float32)


def two_far_clusters(n: int, d: int, model: int) -> Array:
    far = np.where(np.arange(n) % 2 == 0, 1e3, -1e3)[:, None]
    return (_noise(n, d, model) + far).astype(np.float32)


def offset(n: int, d: int, model: int) -> Array:
    return (_noise(n, d, model) + 1e4).astype(np.float32)


def near_duplicates(n: int, d: int, model: int) -> Array:
    """Every row twice, up to 1e-3."""
    rows = _noise(n, d, model)
    return (rows[np.arange(n) // 2] + 1e-3 * _noise(n, d, model + 5)).astype(np.float32)


def heavy_tails(n: int, d: int, model: int) -> Array:
    """Rows of Student's t with 1.5 degrees of freedom: a few lie very far out."""
    scale = np.random.default_rng(3).standard_t(1.5, (n, 1))
    return (scale * _noise(n, d, model)).astype(np.float32)


def one_far_row(n: int, d: int, model: int) -> Array:
    rows = _noise(n, d, model)
    rows[n // 2] += 1e5
    return rows.astype(np.float32)


KINDS = {
    "gaussian": gaussian,
    "decaying spectrum": decaying,
    "ten clusters": clusters,
    "two clusters at 1e3": two_far_clusters,
    "offset 1e4": offset,
    "near duplicates": near_duplicates,
    "heavy tails": heavy_tails,
    "one far row": one_far_row,
}
# Functions of distance: name, bandwidth in units of the median distance.
FUNCTIONS: list[tuple[str, float | None]] = [
    ("distance", None),
    ("rbf 3 median", 3.0),
    ("rbf median", 1.0),
    ("rbf median/3", 1.0 / 3.0),
    ("rbf median/10", 0.1),
]


def values(distances: Array, factor: float | None) -> tuple[Array, float]:
    """Return the dense function and its gamma."""
    if factor is None:
        return distances, 0.0
    sigma = factor * float(np.median(distances[~np.eye(len(distances), dtype=bool)]))
    gamma = 0.5 / sigma**2
    return np.exp(-gamma * distances**2), gamma


def dense_scores(A: Array, B: Array) -> tuple[float, float]:
    """Return normalised biased and unbiased products of two centred matrices."""

    def biased(M: Array) -> Array:
        return M - M.mean(axis=0) - M.mean(axis=1)[:, None] + M.mean()

    def unbiased(M: Array) -> Array:
        M = M.copy()
        n = len(M)
        np.fill_diagonal(M, 0.0)
        M = (
            M
            - M.sum(axis=0) / (n - 2)
            - M.sum(axis=1)[:, None] / (n - 2)
            + M.sum() / ((n - 1) * (n - 2))
        )
        np.fill_diagonal(M, 0.0)
        return M

    scores = []
    for center in (biased, unbiased):
        P, Q = center(A), center(B)
        scores.append(float(np.vdot(P, Q) / np.sqrt(np.vdot(P, P) * np.vdot(Q, Q))))
    return scores[0], scores[1]


def tile_scores(channels: list[Channel]) -> tuple[tuple[float, float], Any]:
    sums = run_tiles(channels)
    k = of_sums(sums)
    return (
        k.xy / np.sqrt(k.xx * k.yy),
        k.u_xy / np.sqrt(k.u_xx * k.u_yy),
    ), sums.without_offsets()


def run_tiles(channels: list[Channel]) -> Any:
    backend = native.NativeBackend.for_arrays(
        [channel.X for channel in channels], n_threads=1, max_memory=None
    )
    return backend.pair_terms(channels).pair(0, 1)


def float32_tiles() -> Any:
    """Take away both guards."""
    return mock.patch.multiple(native, FLOAT64_SAMPLES=0, _strains_float32=lambda *arguments: False)


def guarded_tiles() -> Any:
    """Take away the one on n_samples, so that the other decides."""
    return mock.patch.object(native, "FLOAT64_SAMPLES", 0)


@dataclass(frozen=True)
class Finding:
    """Errors of one case under one function."""

    kind: str
    function: str
    guarded: bool  # the guard chose float64
    exponent: float  # largest gamma |x|²
    sums: float  # relative error of Σ ab and of row sums, float32 forced
    forced: float  # largest error of a score, float32 forced
    chosen: float  # the same, as the backend chooses


def measure(case: Case, function: str, factor: float | None, dense: list[Array]) -> Finding:
    (A, gamma_a), (B, gamma_b) = (values(distances, factor) for distances in dense)
    name = "distance" if factor is None else "rbf"
    channels = [Channel(case.X, name, gamma_a), Channel(case.Y, name, gamma_b)]
    expected = dense_scores(A, B)
    with float32_tiles():
        forced, sums = tile_scores(channels)
    with guarded_tiles():
        chosen, _ = tile_scores(channels)
    off = ~np.eye(len(A), dtype=bool)
    product, rows = float((A * B)[off].sum()), np.where(off, A, 0.0).sum(axis=1)
    errors = [abs(sums.ab / product - 1.0)]
    # A row whose kernel is 0 but for itself has no relative error.
    present = rows > 1e-3 * rows.max()
    errors.append(float(np.abs(sums.rows_a[present] / rows[present] - 1.0).max()))

    def largest(found: tuple[float, float]) -> float:
        return max(abs(a - b) for a, b in zip(found, expected, strict=True))

    norms = ((case.X.astype(np.float64) - case.X.mean(axis=0, dtype=np.float64)) ** 2).sum(1)
    return Finding(
        case.kind,
        function,
        any(map(native._strains_float32, channels)),
        gamma_a * float(norms.max()),
        max(errors),
        largest(forced),
        largest(chosen),
    )


def entry_error(X: Array, distances: Array, share: float) -> float:
    """Return the largest relative error of a float32 distance by expansion, above `share`."""
    centered = (X - X.mean(axis=0, dtype=np.float64)).astype(np.float32)
    norms = (centered.astype(np.float64) ** 2).sum(axis=1).astype(np.float32)
    both = norms[:, None] + norms
    squares = both - 2 * (centered @ centered.T)
    kept = (squares >= share * both) & ~np.eye(len(X), dtype=bool)
    found = np.sqrt(np.where(kept, squares, 1.0))
    return float(np.abs(found / np.where(kept, distances, 1.0) - 1.0)[kept].max(initial=0.0))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1500)
    n = parser.parse_args().n
    print(f"n={n}; errors of scores are absolute, of sums relative\n")
    header = f"{'data':28}{'function':16}{'max exponent':>13}{'guard':>9}"
    print(header + f"{'sums f32':>11}{'score f32':>11}{'score chosen':>14}")
    findings, worst_entry = [], {2.0**-6: 0.0, 2.0**-5: 0.0, 2.0**-8: 0.0, 2.0**-10: 0.0}
    for case in cases(n):
        dense = [cdist(Z.astype(np.float64), Z.astype(np.float64)) for Z in (case.X, case.Y)]
        for share in worst_entry:
            error = entry_error(case.X, dense[0], share)
            worst_entry[share] = max(worst_entry[share], error)
        for function, factor in FUNCTIONS:
            f = measure(case, function, factor, dense)
            findings.append(f)
            guard = "float64" if f.guarded else "float32"
            print(
                f"{f.kind:28}{f.function:16}{f.exponent:13.3g}{guard:>9}"
                f"{f.sums:11.1e}{f.forced:11.1e}{f.chosen:14.1e}",
                flush=True,
            )
    print("\nlargest relative error of one float32 distance whose square is at least")
    for share, error in sorted(worst_entry.items()):
        print(f"  2^{np.log2(share):.0f} of |a|^2 + |b|^2: {error:.1e}")
    summarize(findings)
    worst = max(findings, key=lambda f: f.chosen)
    assert worst.chosen < SCORE_BOUND, worst
    assert worst_entry[2.0**-6] < ENTRY_BOUND, worst_entry
    return 0


def summarize(findings: list[Finding]) -> None:
    print("\nworst score by function")
    for function, _ in FUNCTIONS:
        mine = [f for f in findings if f.function == function]
        forced, chosen = max(mine, key=lambda f: f.forced), max(mine, key=lambda f: f.chosen)
        saved = sum(f.guarded for f in mine)
        needless = sum(f.guarded and f.forced < SCORE_BOUND / 10 for f in mine)
        print(
            f"  {function:16}float32 forced {forced.forced:.1e} ({forced.kind}); chosen "
            f"{chosen.chosen:.1e} ({chosen.kind}); float64 chosen {saved} of {len(mine)} times, "
            f"{needless} where float32 was within {SCORE_BOUND / 10:.0e}"
        )


if __name__ == "__main__":
    raise SystemExit(main())
