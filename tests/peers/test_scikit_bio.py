from __future__ import annotations

import io

import numpy as np
import pytest

from consilience.study.analyses._neighbor_joining import neighbor_joining, newick

skbio = pytest.importorskip("skbio", reason="the peer suite compares with scikit-bio")


def near_a_tree(rng, n, noise):
    """Path lengths of a random tree, disturbed."""
    lengths = {(n, leaf): rng.uniform(0.2, 1.0) for leaf in range(3)}
    for leaf in range(3, n):
        a, b = list(lengths)[rng.integers(len(lengths))]
        del lengths[a, b]
        for edge in ((a, n + leaf - 2), (n + leaf - 2, b), (n + leaf - 2, leaf)):
            lengths[edge] = rng.uniform(0.2, 1.0)
    d = np.full((2 * n - 2, 2 * n - 2), np.inf)
    np.fill_diagonal(d, 0.0)
    for (a, b), length in lengths.items():
        d[a, b] = d[b, a] = length
    for k in range(2 * n - 2):
        d = np.minimum(d, d[:, k, None] + d[None, k])
    disturbed = np.triu(d[:n, :n] * rng.uniform(1 - noise, 1 + noise, (n, n)), 1)
    return disturbed + disturbed.T


def tip_distances(tree, names):
    return tree.cophenet().filter(names).data


@pytest.mark.parametrize("n", [4, 7, 25])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_neighbor_joining(rng, n, noise):
    names = [f"model {a}'s" for a in range(n)]
    d = near_a_tree(rng, n, noise)
    edges = neighbor_joining(d)
    # Where no length is negative there is one answer; theirs leaves out the rest differently.
    assert min(edge.length for edge in edges) > 0.0
    theirs = skbio.tree.nj(skbio.DistanceMatrix(d, names))
    ours = skbio.TreeNode.read(io.StringIO(newick(edges, tuple(names))), format="newick")
    assert ours.compare_rfd(theirs) == 0.0
    np.testing.assert_allclose(tip_distances(ours, names), tip_distances(theirs, names), rtol=1e-8)
