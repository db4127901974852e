"""Maps: the samples as one model sees them, and the models among themselves."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from consilience.neighbors import neighbors
from consilience.study.analyses._json import Result
from consilience.study.analyses._neighbor_joining import check_distances
from consilience.terms import Graph

Floats = NDArray[np.float64]
LEAST_FOR_UMAP = 10


@dataclass(frozen=True)
class SamplePoint(Result):
    """A sample on a map."""

    id: str
    x: float
    y: float
    color: Any = None


@dataclass(frozen=True)
class ModelPoint(Result):
    """A model on a map."""

    name: str
    x: float
    y: float
    color: Any = None


@dataclass(frozen=True)
class Map(Result):
    """Points in a plane.

    Attributes
    ----------
    kind : "samples" or "models"
    method : str
        What drew it, with its settings.
    points : tuple of SamplePoint or ModelPoint
    colored_by : str or None
        What the colour of a point is.
    name : str or None
        The model whose samples these are.
    explained : float or None
        Share of the spread that the two axes of a linear method hold; None for UMAP.
    """

    kind: str
    method: str
    points: tuple[SamplePoint, ...] | tuple[ModelPoint, ...]
    colored_by: str | None = None
    name: str | None = None
    explained: float | None = None


def sample_map(
    X: ArrayLike,
    *,
    ids: Sequence[str] | None = None,
    colors: Sequence[Any] | None = None,
    colored_by: str | None = None,
    name: str | None = None,
    graph: Graph | None = None,
    n_neighbors: int = 15,
    min_dist: float = 0.1,
    seed: int = 0,
) -> Map:
    """Map of samples by UMAP on exact neighbours, or by PCA where umap-learn is not installed.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
    ids : sequence of str, optional
        "0", "1", … if not given.
    colors : sequence, optional
        A number or word per sample.
    colored_by, name : str, optional
    graph : Graph, optional
        Neighbours of X by Euclidean distance, at least n_neighbors - 1 of them, if at hand.
    n_neighbors : int
        Neighbours that make up a neighbourhood, the sample included, as UMAP counts.
    min_dist : float
    seed : int

    Returns
    -------
    Map
        `method` names what was used and why. Below ten samples it is PCA.

    Raises
    ------
    ValueError
        On fewer than three samples, all equal rows, or ids and colours of another length.

    References
    ----------
    [mcinnes2018]_
    """
    X = np.asarray(X)
    if X.ndim != 2 or len(X) < 3:
        raise ValueError(f"a map needs at least 3 samples in rows, got shape {X.shape}")
    if not np.ptp(X, axis=0).any():
        raise ValueError("all rows are equal: the samples are one point, there is no map")
    n = len(X)
    ids = [str(i) for i in range(n)] if ids is None else ids
    _check_length(ids, n, "ids")
    _check_length(colors, n, "colors")
    if n < LEAST_FOR_UMAP:
        place, explained = _pca(X)
        method = f"PCA (UMAP needs {LEAST_FOR_UMAP} samples)"
    else:
        size = min(n_neighbors, n - 1)
        umap = _umap()
        if umap is None:
            place, explained = _pca(X)
            method = "PCA (umap-learn is not installed)"
        else:
            place, explained = _by_umap(umap, X, graph, size, min_dist, seed), None
            method = (
                f"UMAP (exact neighbours, n_neighbors={size}, min_dist={min_dist}, seed={seed})"
            )
    points = tuple(
        SamplePoint(str(i), float(x), float(y), color)
        for i, (x, y), color in zip(
            ids, place, [None] * n if colors is None else colors, strict=True
        )
    )
    return Map("samples", method, points, colored_by, name, explained)


def model_map(
    distances: ArrayLike,
    names: Sequence[str],
    *,
    colors: Sequence[Any] | None = None,
    colored_by: str | None = None,
) -> Map:
    r"""Map of models by classical scaling of their distances.

    The two leading axes of :math:`-\tfrac12 J D^{\circ 2} J`, J the centring matrix
    [torgerson1952]_. A neighbourhood method such as UMAP means nothing for a few dozen models.
    `explained` is the share of those two eigenvalues in the sum of all absolute eigenvalues.

    Parameters
    ----------
    distances : array of shape (n_models, n_models)
        For example those of `tree`.
    names : sequence of str
    colors : sequence, optional
    colored_by : str, optional

    Returns
    -------
    Map

    Raises
    ------
    ValueError
        If these are no distances of at least three models, or all are 0.

    References
    ----------
    [torgerson1952]_
    """
    d = np.asarray(distances, dtype=np.float64)
    check_distances(d)
    n = len(d)
    _check_length(names, n, "names")
    _check_length(colors, n, "colors")
    center = np.eye(n) - 1.0 / n
    eigenvalues, vectors = np.linalg.eigh(-0.5 * center @ (d * d) @ center)
    total = float(np.abs(eigenvalues).sum())
    if total == 0.0:
        raise ValueError("all distances are 0: the models are one point, there is no map")
    lead = np.maximum(eigenvalues[[-1, -2]], 0.0)
    place = _upright(vectors[:, [-1, -2]] * np.sqrt(lead))
    points = tuple(
        ModelPoint(str(name), float(x), float(y), color)
        for name, (x, y), color in zip(
            names, place, [None] * n if colors is None else colors, strict=True
        )
    )
    method = "classical scaling of the profiles' Jensen-Shannon distances"
    return Map("models", method, points, colored_by, None, float(lead.sum() / total))


def _check_length(values: Sequence[Any] | None, n: int, what: str) -> None:
    if values is not None and len(values) != n:
        raise ValueError(f"`{what}` must have {n} entries, got {len(values)}")


def _pca(X: NDArray[Any]) -> tuple[Floats, float]:
    centered = X.astype(np.float64) - X.mean(axis=0, dtype=np.float64)
    u, sizes, _ = np.linalg.svd(centered, full_matrices=False)
    total = float(sizes @ sizes)
    place = np.zeros((len(X), 2))
    used = min(2, len(sizes))
    place[:, :used] = u[:, :used] * sizes[:used]
    return _upright(place), float(sizes[:2] @ sizes[:2]) / total


def _upright(place: Floats) -> Floats:
    """Return the axes with their farthest point on the positive side: signs are arbitrary."""
    far = place[np.abs(place).argmax(axis=0), np.arange(place.shape[1])]
    return place * np.where(far < 0.0, -1.0, 1.0)


def _umap() -> Any | None:
    try:
        with warnings.catch_warnings():
            # umap looks for TensorFlow when imported, and says so.
            warnings.simplefilter("ignore")
            import umap
    except ImportError:
        return None
    return umap


def _by_umap(
    umap: Any, X: NDArray[Any], graph: Graph | None, size: int, min_dist: float, seed: int
) -> Floats:
    if graph is None:
        indices, distances = neighbors(X, k=size - 1)
    else:
        if graph.n_samples != len(X) or graph.k < size - 1:
            raise ValueError(
                f"`graph` must hold {size - 1} neighbours of {len(X)} samples, "
                f"got {graph.k} of {graph.n_samples}"
            )
        graph = graph.nearest(size - 1)
        indices, distances = graph.indices, graph.distances
    own = np.arange(len(X))[:, None]
    known = (np.hstack([own, indices]), np.hstack([np.zeros((len(X), 1)), distances]))
    mapper = umap.UMAP(
        n_neighbors=size,
        min_dist=min_dist,
        precomputed_knn=(known[0].astype(np.int32), known[1].astype(np.float32)),
        random_state=seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        # That no new samples can be added, and that a graph has several parts, is no news here.
        warnings.filterwarnings("ignore", module=r"umap|sklearn|numba")
        return np.asarray(mapper.fit_transform(X.astype(np.float32)), dtype=np.float64)
