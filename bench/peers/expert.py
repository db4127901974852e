"""What an expert composes today from faiss, numpy, scipy and torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from peers import rival

Array = np.ndarray[Any, Any]
FAISS = {"needs": "faiss", "at_target": True}
TORCH = {"needs": "torch", "at_target": True}
ROWS = 500


def flat_search(X: Array, k: int) -> tuple[Array, Array]:
    """Squared distances and indices of k others of each row, itself left out by index."""
    import faiss

    index = faiss.IndexFlatL2(X.shape[1])
    index.add(X)
    squares, indices = index.search(X, k + 1)
    rows = np.arange(len(X))[:, None]
    others = indices != rows
    others[others.all(axis=1), -1] = False  # crowded out by duplicates of it
    return squares[others].reshape(-1, k), indices[others].reshape(-1, k)


@rival("exact neighbours", "faiss IndexFlatL2", **FAISS)
def neighbours(X: Array, *, n_threads: int) -> Array:
    return flat_search(X, 25)[1]


def unit(X: Array) -> Array:
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def sparse(indices: Array, values: Array) -> Any:
    from scipy.sparse import csr_array

    n, k = indices.shape
    return csr_array((values.ravel(), indices.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))


@rival("mutual kNN", "faiss + sparse overlap", **FAISS)
def mutual_knn(X: Array, Y: Array, *, n_threads: int) -> float:
    lists = [flat_search(unit(Z), 10)[1] for Z in (X, Y)]
    A, B = (sparse(indices, np.ones(indices.shape, np.float32)) for indices in lists)
    return float(A.multiply(B).sum() / lists[0].size)


@rival("CKNNA", "faiss + sparse formula", **FAISS)
def cknna(X: Array, Y: Array, *, n_threads: int) -> float:
    kernels = []
    for Z in (unit(X), unit(Y)):
        squares, indices = flat_search(Z, 25)
        values = 1.0 - 0.5 * squares - (Z @ Z.mean(axis=0))[:, None]
        kernels.append(sparse(indices, values.astype(np.float64)))
    K, L = kernels
    return float(K.multiply(L).sum() / np.sqrt((K.data**2).sum() * (L.data**2).sum()))


@rival("information imbalance", "faiss + numpy rank count", **FAISS)
def information_imbalance(X: Array, Y: Array, *, n_threads: int) -> tuple[float, float]:
    n = len(X)

    def one_way(source: Array, target: Array) -> float:
        nearest = flat_search(source, 1)[1][:, 0]
        centered = target - target.mean(axis=0)
        norms = np.einsum("ij,ij->i", centered, centered)
        total = 0
        for start in range(0, n, ROWS):
            rows = np.arange(start, min(n, start + ROWS))
            # |x - y|² - |x|²: the same order in a row
            keys = centered[rows] @ centered.T
            keys *= -2.0
            keys += norms
            keys[rows - start, rows] = np.inf
            total += np.count_nonzero(keys < keys[rows - start, nearest[rows]][:, None]) + len(rows)
        return 2.0 / n * total / n

    return one_way(X, Y), one_way(Y, X)


@rival("linear family", "numpy one-liner", needs="numpy", at_target=True)
def linear_cka(X: Array, Y: Array, *, n_threads: int) -> float:
    x, y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    norm = np.linalg.norm
    return float(norm(x.T @ y) ** 2 / (norm(x.T @ x) * norm(y.T @ y)))


def centered_correlation(blocks: Any, n: int) -> tuple[float, float, float, Array, Array]:
    import torch

    products = torch.zeros(3, dtype=torch.float64)
    a_sums, b_sums = [], []
    for a, b in blocks:
        for p, (u, v) in enumerate(((a, b), (a, a), (b, b))):
            products[p] += torch.dot(u.ravel(), v.ravel()).double()
        a_sums.append(a.sum(dim=1, dtype=torch.float64))
        b_sums.append(b.sum(dim=1, dtype=torch.float64))
    xy, xx, yy = products.tolist()
    return xy, xx, yy, torch.cat(a_sums).numpy(), torch.cat(b_sums).numpy()


@rival("distance correlation", "blocked torch.cdist", **TORCH)
def distance_correlation(X: Array, Y: Array, *, n_threads: int) -> float:
    import torch

    sets = [torch.from_numpy(Z - Z.mean(axis=0)) for Z in (X, Y)]
    n = len(X)

    def blocks() -> Any:
        for start in range(0, n, ROWS):
            yield tuple(
                torch.cdist(Z[start : start + ROWS], Z, compute_mode="use_mm_for_euclid_dist")
                for Z in sets
            )

    xy, xx, yy, a, b = centered_correlation(blocks(), n)

    def covariance(product: float, p: Array, q: Array) -> float:
        return float(product - 2 * (p @ q) / n + p.sum() * q.sum() / n**2)

    variances = covariance(xx, a, a) * covariance(yy, b, b)
    return float(np.sqrt(covariance(xy, a, b) / np.sqrt(variances)))


@rival("RBF CKA", "blocked torch.exp", **TORCH)
def rbf_cka(X: Array, Y: Array, *, n_threads: int) -> float:
    import torch

    n = len(X)
    rng = np.random.default_rng(0)
    i = rng.integers(0, n, 1 << 17)
    j = (i + rng.integers(1, n, 1 << 17)) % n
    scales = [float(np.median(((Z[i] - Z[j]) ** 2).sum(axis=1))) for Z in (X, Y)]
    sets = [torch.from_numpy(Z - Z.mean(axis=0)) for Z in (X, Y)]
    norms = [(Z * Z).sum(dim=1) for Z in sets]

    def kernel(m: int, start: int) -> Any:
        Z, q, scale = sets[m], norms[m], scales[m]
        block = Z[start : start + ROWS] @ Z.T
        block.mul_(2.0).sub_(q).sub_(q[start : start + ROWS, None]).div_(2.0 * scale).exp_()
        block[torch.arange(len(block)), torch.arange(start, start + len(block))] = 0.0
        return block

    blocks = ((kernel(0, s), kernel(1, s)) for s in range(0, n, ROWS))
    xy, xx, yy, a, b = centered_correlation(blocks, n)

    def hsic(product: float, p: Array, q: Array) -> float:
        ends = p.sum() * q.sum() / ((n - 1) * (n - 2))
        return float(product - 2 * (p @ q) / (n - 2) + ends)

    return hsic(xy, a, b) / float(np.sqrt(hsic(xx, a, a) * hsic(yy, b, b)))


@rival("TwoNN", "faiss + numpy", **FAISS)
def twonn(X: Array, *, n_threads: int) -> float:
    squares, _ = flat_search(X, 2)
    ratios = np.sort(0.5 * np.log(squares[:, 1] / squares[:, 0]))
    kept = int(0.9 * len(X))
    x, y = ratios[:kept], -np.log1p(-np.arange(1, kept + 1) / len(X))
    return float(x @ y / (x @ x))


@rival("dimension MLE", "faiss + numpy", **FAISS)
def dimension_mle(X: Array, *, n_threads: int) -> float:
    squares, _ = flat_search(X, 20)
    logs = 0.5 * np.log(squares[:, -1:] / squares[:, :-1])
    return float(19.0 / logs.sum(axis=1).mean())
