"""Textbook definitions of every metric: dense, float64, slow. No code of the package in here.

Everything is written from the formulas with whole n-by-n matrices. Distances come from
differences of rows, never from the Gram expansion, and neighbors are ordered by
(distance, index) with the row itself left out by index.
"""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
from scipy.optimize import brentq
from scipy.stats import rankdata

# --- preprocessing ---------------------------------------------------------------------


def as_float64(X):
    return np.asarray(X).astype(np.float64)


def zscore(X):
    X = as_float64(X)
    return (X - X.mean(axis=0)) / X.std(axis=0)


def normalized(X, how):
    X = as_float64(X)
    if how == "none":
        return X
    if how == "l2":
        # Divide by the largest entry first: squares of 1e-200 or 1e200 leave float64.
        X = X / np.abs(X).max(axis=1, keepdims=True)
        return X / np.sqrt((X * X).sum(axis=1, keepdims=True))
    if how == "max":
        return X / np.abs(X).max(axis=1, keepdims=True)
    if how == "zscore":
        return zscore(X)
    raise ValueError(how)


def clipped(X, q):
    """Clamp to the entry at place int(q * size) of the sorted |X| (platonic-rep's rule)."""
    X = as_float64(X)
    if q == 1:
        return X
    bound = np.sort(np.abs(X), axis=None)[int(q * X.size)]
    return np.clip(X, -bound, bound)


# --- matrices --------------------------------------------------------------------------


def distances(X, kind="l2"):
    """All pairs; `cosine` is 1 - cos and `ip` is minus the inner product."""
    X = as_float64(X)
    if kind == "l2":
        # One row at a time: the n-by-n-by-d cube is never needed.
        return np.array([np.sqrt(((X - x) ** 2).sum(axis=1)) for x in X])
    if kind == "cosine":
        U = normalized(X, "l2")
        return 0.5 * distances(U) ** 2
    if kind == "ip":
        return -np.array([(X * x).sum(axis=1) for x in X])
    raise ValueError(kind)


def order_of(D):
    """Row by row all other indices, by (distance, index)."""
    D = D.copy()
    np.fill_diagonal(D, np.inf)
    # A stable sort leaves the lower index first among equals.
    return np.argsort(D, axis=1, kind="stable")[:, :-1]


def neighbors(X, k, kind="l2"):
    D = distances(X, kind)
    indices = order_of(D)[:, :k]
    return indices, np.take_along_axis(D, indices, axis=1)


def mask_of(indices):
    n = len(indices)
    mask = np.zeros((n, n))
    np.put_along_axis(mask, indices, 1.0, axis=1)
    return mask


def centering(n):
    return np.eye(n) - 1.0 / n


def double_centered(A):
    H = centering(len(A))
    return H @ A @ H


def u_centered(A):
    """U-center a square matrix (Szekely and Rizzo 2014)."""
    n = len(A)
    A = A - np.diag(np.diag(A))
    rows = A.sum(axis=1, keepdims=True) / (n - 2)
    columns = A.sum(axis=0, keepdims=True) / (n - 2)
    A = A - rows - columns + A.sum() / ((n - 1) * (n - 2))
    return A - np.diag(np.diag(A))


# --- neighbor graphs -------------------------------------------------------------------


def graphs(X, Y, k, normalize="l2", distance="ip"):
    return [neighbors(normalized(A, normalize), k, distance)[0] for A in (X, Y)]


def mutual_knn(X, Y, k, **options):
    A, B = graphs(X, Y, k, **options)
    return float(np.mean([len(set(a) & set(b)) / k for a, b in zip(A, B, strict=True)]))


def jaccard_knn(X, Y, k, **options):
    A, B = graphs(X, Y, k, **options)
    pairs = [(set(a), set(b)) for a, b in zip(A, B, strict=True)]
    return float(np.mean([len(a & b) / len(a | b) for a, b in pairs]))


def cycle_knn(X, Y, k, **options):
    """Share of rows i that a step i -> j in Y and a step j -> i in X can bring home."""
    A, B = graphs(X, Y, k, **options)
    return float(np.mean([any(i in A[j] for j in B[i]) for i in range(len(A))]))


def longest_common_subsequence(a, b):
    best = np.zeros((len(a) + 1, len(b) + 1), int)
    for i, u in enumerate(a):
        for j, v in enumerate(b):
            best[i + 1, j + 1] = best[i, j] + 1 if u == v else max(best[i, j + 1], best[i + 1, j])
    return int(best[-1, -1])


def levenshtein(a, b):
    cost = np.zeros((len(a) + 1, len(b) + 1), int)
    cost[:, 0] = np.arange(len(a) + 1)
    cost[0, :] = np.arange(len(b) + 1)
    for i, u in enumerate(a):
        for j, v in enumerate(b):
            cost[i + 1, j + 1] = min(cost[i, j + 1] + 1, cost[i + 1, j] + 1, cost[i, j] + (u != v))
    return int(cost[-1, -1])


def lcs_knn(X, Y, k, **options):
    A, B = graphs(X, Y, k, **options)
    return float(np.mean([longest_common_subsequence(a, b) for a, b in zip(A, B, strict=True)]))


def edit_knn(X, Y, k, **options):
    A, B = graphs(X, Y, k, **options)
    return 1.0 - float(np.mean([levenshtein(a, b) for a, b in zip(A, B, strict=True)])) / k


def cknna_paper(X, Y, k, normalize="l2"):
    """Huh et al. 2024, equations 12 and 16 to 18, over whole kernels."""
    (X, Y) = (normalized(A, normalize) for A in (X, Y))
    masks = [mask_of(neighbors(A, k, "ip")[0]) for A in (X, Y)]
    kernels = [A @ A.T for A in (X, Y)]
    kernels = [K - K.mean(axis=1, keepdims=True) for K in kernels]

    def align(a, b):
        return (masks[a] * masks[b] * kernels[a] * kernels[b]).sum()

    return align(0, 1) / math.sqrt(align(0, 0) * align(1, 1))


def cknna_prh_code(X, Y, k, *, normalize="l2", unbiased=True, eps=0.0):
    """HSIC of the masked kernels, as minyoungg/platonic-rep computes it."""
    (X, Y) = (normalized(A, normalize) for A in (X, Y))
    kernels = [A @ A.T for A in (X, Y)]
    masks = []
    for A, K in zip((X, Y), kernels, strict=True):
        if unbiased:
            masks.append(mask_of(neighbors(A, k, "ip")[0]))
        else:
            index = np.arange(len(K))
            top = np.array([np.lexsort((index, -row))[:k] for row in K])
            masks.append(mask_of(top))

    def similarity(a, b):
        mask = masks[a] * masks[b]
        P, Q = mask * kernels[a], mask * kernels[b]
        return hsic_unbiased(P, Q) if unbiased else np.trace(double_centered(P) @ Q)

    scale = math.sqrt(similarity(0, 0) * similarity(1, 1))
    return similarity(0, 1) / (scale + eps)


# --- HSIC and CKA ----------------------------------------------------------------------


def hsic_unbiased(K, L):
    """Song et al. 2012, equation 5, with matrix products in full."""
    n = len(K)
    K = K - np.diag(np.diag(K))
    L = L - np.diag(np.diag(L))
    one = np.ones(n)
    value = np.trace(K @ L) + (one @ K @ one) * (one @ L @ one) / ((n - 1) * (n - 2))
    value -= 2.0 * (one @ K @ L @ one) / (n - 2)
    return value / (n * (n - 3))


def hsic_biased(K, L):
    """Gretton et al. 2005: tr(KHLH) / (n - 1)^2."""
    return np.trace(double_centered(K) @ L) / (len(K) - 1) ** 2


def kernel_of(X, kernel="linear", bandwidth="median", bandwidth_factor=1.0):
    X = as_float64(X)
    if kernel == "linear":
        # A shift changes no centered quantity and keeps large offsets out of the products.
        X = X - X.mean(axis=0)
        return X @ X.T
    D = distances(X)
    sigma = bandwidth
    if bandwidth == "median":
        sigma = bandwidth_factor * np.median(D[np.triu_indices(len(D), 1)])
    return np.exp(-(D**2) / (2.0 * sigma**2))


def hsic(X, Y, *, unbiased=True, normalize="none", **kernel):
    K, L = (kernel_of(normalized(A, normalize), **kernel) for A in (X, Y))
    return float(hsic_unbiased(K, L) if unbiased else hsic_biased(K, L))


def cka(X, Y, *, debiased=False, normalize="none", **kernel):
    """Cosine of the (U-)centered Gram matrices: no HSIC terms."""
    K, L = (kernel_of(normalized(A, normalize), **kernel) for A in (X, Y))
    K, L = (u_centered(G) if debiased else double_centered(G) for G in (K, L))
    return float((K * L).sum() / math.sqrt((K * K).sum() * (L * L).sum()))


# --- linear subspaces ------------------------------------------------------------------


def centered(X):
    X = as_float64(X)
    return X - X.mean(axis=0)


def orthonormal_basis(X, rcond):
    """Left singular vectors of the centered X above rcond times the largest."""
    U, s, _ = np.linalg.svd(centered(X), full_matrices=False)
    return U[:, s > rcond * s[0]]


def canonical_correlations(X, Y, rcond=1e-6):
    U, V = orthonormal_basis(X, rcond), orthonormal_basis(Y, rcond)
    return np.clip(np.linalg.svd(U.T @ V, compute_uv=False), 0.0, 1.0)


def cca(X, Y, rcond=1e-6):
    return float(canonical_correlations(X, Y, rcond).mean())


def leading_components(X, variance=None, dims=None):
    """Scores of X on the fewest principal axes that hold the share `variance`."""
    U, s, _ = np.linalg.svd(centered(X), full_matrices=False)
    if dims is None:
        share = np.cumsum(s**2) / (s**2).sum()
        dims = int(np.searchsorted(share, variance) + 1)
    return U[:, :dims] * s[:dims]


def svcca(X, Y, *, variance=0.99, dims=None, rcond=1e-6):
    A, B = (leading_components(M, variance, dims) for M in (X, Y))
    return cca(A, B, rcond)


def pwcca(X, Y, rcond=1e-6):
    """Morcos et al. 2018: weights sum_i |<h_j, x_i>| over the columns x_i of X."""
    U, V = orthonormal_basis(X, rcond), orthonormal_basis(Y, rcond)
    left, rho, _ = np.linalg.svd(U.T @ V, full_matrices=False)
    H = U @ left
    weights = np.abs(H.T @ centered(X)).sum(axis=1)
    return float((weights * np.clip(rho, 0.0, 1.0)).sum() / weights.sum())


def procrustes(X, Y):
    X, Y = centered(X), centered(Y)
    nuclear = np.linalg.svd(X.T @ Y, compute_uv=False).sum()
    return float(nuclear / (np.linalg.norm(X) * np.linalg.norm(Y)))


def r2(X, Y):
    """Share of the variance of Y (all columns) that least squares on X explains."""
    X, Y = centered(X), centered(Y)
    W = np.linalg.lstsq(X, Y, rcond=1e-6)[0]
    return float(1.0 - np.sum((Y - X @ W) ** 2) / np.sum(Y**2))


def linear_regression_r2(X, Y):
    return r2(X, Y), r2(Y, X)


# --- all pairs -------------------------------------------------------------------------


def distance_correlation(X, Y, *, unbiased=False):
    A, B = distances(X), distances(Y)
    if unbiased:
        A, B = u_centered(A), u_centered(B)
        return float((A * B).sum() / math.sqrt((A * A).sum() * (B * B).sum()))
    A, B = double_centered(A), double_centered(B)
    ratio = (A * B).mean() / math.sqrt((A * A).mean() * (B * B).mean())
    return math.sqrt(max(ratio, 0.0))


def rsa(X, Y, *, correlation="pearson", distance="l2"):
    above = np.triu_indices(len(X), 1)
    a, b = (distances(M, distance)[above] for M in (X, Y))
    if correlation == "spearman":
        a, b = rankdata(a), rankdata(b)
    return float(np.corrcoef(a, b)[0, 1])


def full_ranks(D):
    """1 + strictly closer others + half of the others exactly as far."""
    n = len(D)
    ranks = np.zeros((n, n))
    for i in range(n):
        others = np.delete(D[i], i)
        for j in range(n):
            if j != i:
                ties = (others == D[i, j]).sum() - 1
                ranks[i, j] = 1 + (others < D[i, j]).sum() + 0.5 * ties
    return ranks


def information_imbalance(X, Y, *, k=1):
    D, E = distances(X), distances(Y)

    def imbalance(D, E):
        n = len(D)
        ranks = np.take_along_axis(full_ranks(E), order_of(D)[:, :k], axis=1)
        return float(2.0 / n * ranks.mean())

    return imbalance(D, E), imbalance(E, D)


# --- intrinsic dimension ---------------------------------------------------------------


def ratios(X, n1, n2):
    """Ratios r_n2 / r_n1 of the rows where 0 < r_n1 < r_n2."""
    _, r = neighbors(X, n2)
    near, far = r[:, n1 - 1], r[:, n2 - 1]
    kept = (near > 0) & (near < far)
    return far[kept] / near[kept]


def twonn(X, *, method="fit", discard=0.1):
    """Facco et al. 2017. F counts all kept ratios; only then the largest are left out."""
    log_mu = np.log(np.sort(ratios(X, 1, 2)))
    n = len(log_mu)
    if method == "mle":
        return float((n - 1) / log_mu.sum())
    m = int(n * (1.0 - discard))
    x, y = log_mu[:m], -np.log1p(-np.arange(1, m + 1) / n)
    return float((x @ y) / (x @ x))


def dimension_mle(X, *, k=20, combine="harmonic"):
    """Levina and Bickel 2004; the harmonic mean is that of MacKay and Ghahramani 2005."""
    _, r = neighbors(X, k)
    r = r[r[:, 0] > 0]
    inverse = np.log(r[:, -1:] / r[:, :-1]).sum(axis=1) / (k - 1)
    return float(1.0 / inverse.mean() if combine == "harmonic" else (1.0 / inverse).mean())


def gride(X, *, n1=1, n2=2):
    """Denti et al. 2022: root of the score of the likelihood of r_n2 / r_n1."""
    log_mu = np.log(ratios(X, n1, n2))
    n = len(log_mu)

    def score(d):
        # 1 / (1 - mu^-d) stays finite where mu^d would overflow.
        grown = 1.0 / -np.expm1(-d * log_mu)
        return n / d - (n2 - 1) * log_mu.sum() + (n2 - n1 - 1) * (log_mu * grown).sum()

    return float(brentq(score, 1e-6, 1e6, xtol=1e-13, rtol=1e-13))


def id_correlation(X, Y, **options):
    """Basile et al. 2024: (I1 + I2 - I12) / max(I1, I2) on z-scored columns."""
    X, Y = zscore(X), zscore(Y)
    one, two = twonn(X, **options), twonn(Y, **options)
    joint = twonn(np.hstack([X, Y]), **options)
    return (one + two - joint) / max(one, two)


# --- inference -------------------------------------------------------------------------


def mantel(A, B):
    """Sum over i != j of A_ij B_ij."""
    return float((A * B).sum() - (np.diag(A) * np.diag(B)).sum())


def mantel_moments(A, B):
    """Mean and variance of the Mantel statistic over all n! relabelings of B."""
    n = len(A)
    draws = [mantel(A, B[np.ix_(p, p)]) for p in map(list, permutations(range(n)))]
    return float(np.mean(draws)), float(np.var(draws))


def permutation_moments(statistic, X, Y):
    """Mean and variance of statistic(X, Y[p]) over all n! orders of the rows of Y."""
    draws = [statistic(X, Y[list(p)]) for p in permutations(range(len(Y)))]
    return float(np.mean(draws)), float(np.var(draws))
