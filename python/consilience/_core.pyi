from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Set = NDArray[np.float32] | NDArray[np.float64]
_Floats = NDArray[np.float64]
_Indices = NDArray[np.int64]
_Splits = NDArray[np.uint32]
_SixSums = tuple[float, float, float, float, float, float]

def install_blas(sgemm: Any, dgemm: Any) -> None: ...
def blas_installed() -> bool: ...
def knn_exact(
    X: _Set,
    *,
    k: int,
    distance: str,
    rows: _Indices | None,
    tile: int,
    axes: _Floats | None = None,
    rest_axes: _Floats | None = None,
    words: bool = False,
    n_threads: int,
) -> tuple[_Indices, _Floats, int]: ...
def fast_words() -> bool: ...
def knn_exact_bytes(n_samples: int, n_features: int, n_axes: int, n_rows: int, k: int) -> int: ...
def knn_approx(
    X: _Set,
    *,
    k: int,
    distance: str,
    seed: int,
    cell: int,
    fanout: int,
    step: float,
    n_threads: int,
) -> tuple[_Indices, _Floats]: ...
def knn_approx_bytes(
    n_samples: int, n_features: int, k: int, cell: int, fanout: int, n_threads: int
) -> int: ...
def fast_bytes() -> bool: ...
def pair_terms(
    sets: Sequence[_Set],
    *,
    functions: Sequence[str],
    gammas: Sequence[float],
    tile: int,
    double_tiles: bool,
    n_threads: int,
    rows: tuple[int, int] | None = None,
) -> tuple[_Floats, _Floats, _Floats]: ...
def pair_terms_bytes(
    n_samples: int,
    total_features: int,
    most_features: int,
    n_channels: int,
    tile: int,
    double_tiles: bool,
    n_threads: int,
) -> int: ...
def pair_rows(
    sets: Sequence[_Set],
    *,
    functions: Sequence[str],
    gammas: Sequence[float],
    pairs: Sequence[tuple[int, int]],
    rows: _Indices,
    references: _Indices,
    double_tiles: bool,
    n_threads: int,
) -> tuple[_Floats, _Floats, _Floats]: ...
def pair_rows_bytes(
    n_rows: int,
    n_references: int,
    total_features: int,
    n_sets: int,
    n_channels: int,
    n_pairs: int,
    double_tiles: bool,
    n_threads: int,
) -> int: ...
def pair_distances(X: _Set, i: _Indices, j: _Indices, *, n_threads: int) -> _Floats: ...
def joint_nearest(
    sets: Sequence[_Set],
    *,
    pairs: Sequence[tuple[int, int]],
    rows: _Indices | None = None,
    tile: int,
    words: bool = False,
    n_threads: int,
) -> _Floats: ...
def joint_nearest_bytes(
    n_samples: int,
    n_rows: int,
    total_features: int,
    most_features: int,
    n_sets: int,
    n_pairs: int,
    n_threads: int,
) -> int: ...
def rank_counts(
    X: _Set,
    *,
    sources: Sequence[_Indices],
    ks: Sequence[int],
    rows: Sequence[int] | NDArray[np.int64] | None = None,
    sample: Sequence[int] | NDArray[np.int64] | None = None,
    n_threads: int,
) -> tuple[_Floats, _Floats, _Floats, _Floats]: ...
def rank_counts_bytes(n_samples: int, n_features: int, n_threads: int) -> int: ...
def count_nearer(
    X: _Set,
    *,
    rows: _Set,
    selves: _Indices,
    squares: _Floats,
    origin: _Floats,
    n_threads: int,
) -> _Indices: ...
def count_nearer_bytes(n_samples: int, n_features: int, n_squares: int, n_threads: int) -> int: ...
def squares_between(Y: _Set, X: _Set, *, i: _Indices, j: _Indices, n_threads: int) -> _Floats: ...
def moments(
    sets: Sequence[_Set],
    *,
    pairs: Sequence[tuple[int, int]],
    shifts: Sequence[_Floats],
    n_threads: int,
) -> list[_Floats]: ...
def moments_bytes(n_samples: int, n_features: int, n_sets: int) -> int: ...
def column_means(X: _Set, *, n_threads: int) -> _Floats: ...
def edge_values(
    X: _Set,
    indices: _Indices,
    origin: _Floats,
    *,
    products: _Floats | None = None,
    rows: _Indices | None = None,
    n_threads: int,
) -> _Floats: ...
def graph_terms(
    indices_x: _Indices,
    indices_y: _Indices,
    e: _Floats | None,
    f: _Floats | None,
    *,
    n_threads: int,
) -> tuple[_Indices, _Floats, _Floats, _Floats, _Floats, _Floats, _Floats]: ...
def overlap_terms(
    indices_x: _Indices,
    indices_y: _Indices,
    e: _Floats | None,
    f: _Floats | None,
    *,
    n_samples: int | None = None,
    n_threads: int,
) -> tuple[_Indices, _Floats]: ...
def lists_within(
    indices: _Indices, group: _Indices, *, k: int, rows: _Indices | None = None, n_threads: int
) -> _Indices: ...
def members_within(
    indices: _Indices, halves: _Splits, *, k: int, rows: _Indices | None = None, n_threads: int
) -> _Splits: ...
def overlap_within(
    indices_x: _Indices,
    indices_y: _Indices,
    members_x: _Splits,
    members_y: _Splits,
    e: _Floats | None,
    f: _Floats | None,
    *,
    n_splits: int,
    n_samples: int | None = None,
    n_threads: int,
) -> _Floats: ...
def nth_within(
    values: _Floats, members: _Splits, *, order: int, n_splits: int, n_threads: int
) -> _Floats: ...
def list_terms(
    indices_x: _Indices,
    indices_y: _Indices,
    *,
    cycle: bool,
    lcs: bool,
    edit: bool,
    n_samples: int | None = None,
    n_threads: int,
) -> tuple[_Floats, _Floats, _Floats]: ...
def list_draws(
    indices_x: _Indices,
    indices_y: _Indices,
    permutations: _Indices,
    *,
    jaccard: bool,
    cycle: bool,
    lcs: bool,
    edit: bool,
    n_threads: int,
) -> tuple[_Floats, _Floats, _Floats, _Floats]: ...
def mantel_terms(indices: _Indices, e: _Floats, *, n_threads: int) -> _SixSums: ...
def mantel_counts(indices: _Indices, ks: Sequence[int], *, n_threads: int) -> list[_SixSums]: ...
def mantel_draws(
    indices: Sequence[_Indices],
    values: Sequence[_Floats | None],
    pairs: Sequence[tuple[int, int]],
    permutations: _Indices,
    *,
    n_threads: int,
) -> _Floats: ...
def mantel_draws_bytes(n_samples: int, n_pairs: int) -> int: ...
