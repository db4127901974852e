"""Numbers that the peers' own programs printed, where their definition is ours.

The oracles of `reference.py` are held against the same file in `test_reference.py`.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import consilience as cs

GOLDEN = np.load(Path(__file__).parents[1] / "data" / "prh_s0_n200.npz", allow_pickle=False)
A, B = GOLDEN["A"], GOLDEN["B"]
VALUES = dict(zip(GOLDEN["names"].tolist(), GOLDEN["values"].tolist(), strict=True))
PAIRS = {"AB": (A, B), "BA": (B, A), "AA": (A, A)}
SINGLES = {"A": A, "B": B}


def prh(name, **options):
    """platonic-rep's neighbor metrics, under our name for each."""
    ours = {"edit_distance_knn": "edit_knn"}.get(name, name)
    return [
        (f"prh.{name}.k{k}.{pair}", 1e-6, getattr(cs, ours), PAIRS[pair], {"k": k, **options})
        for k in (10, 25)
        for pair in ("AB", "BA")
    ]


def code_variant(name, pair, k, **options):
    # Their 1e-6 in the denominator is there on purpose, to match every digit.
    options = {"k": k, "variant": "prh-code", "eps": 1e-6, **options}
    return (f"prh.{name}.k{k}.{pair}", 1e-5, cs.cknna, PAIRS[pair], options)


EQUAL = [
    *prh("cycle_knn"),
    *prh("mutual_knn"),
    *prh("lcs_knn"),
    *prh("edit_distance_knn"),
    *[code_variant("cknna", p, k) for k in (10, 25) for p in ("AB", "BA", "AA")],
    *[code_variant("cknna_biased", "AB", k, unbiased=False) for k in (10, 25)],
    *[(f"paper.cknna.k{k}", 1e-6, cs.cknna, PAIRS["AB"], {"k": k}) for k in (10, 25)],
    ("prh.cka.ip", 1e-6, cs.cka, PAIRS["AB"], {}),
    ("prh.cka.rbf1", 1e-6, cs.cka, PAIRS["AB"], {"kernel": "rbf", "bandwidth": 1.0}),
    ("dcor.biased", 1e-6, cs.distance_correlation, PAIRS["AB"], {}),
    ("dcor.u_sqr", 1e-6, cs.distance_correlation, PAIRS["AB"], {"unbiased": True}),
    *[
        (f"dadapy.ii.k{k}.{pair}", 1e-9, cs.information_imbalance, PAIRS[pair], {"k": k})
        for k in (1, 5, 25)
        for pair in ("AB", "BA")
    ],
    # DADApy counts F over all ratios, then fits the lower nine tenths through the origin;
    # its maximum likelihood is (N - 1) / sum(ln mu) over all of them. Both are ours.
    *[(f"dadapy.twonn.{s}", 1e-6, cs.twonn, (SINGLES[s],), {}) for s in SINGLES],
    *[(f"dadapy.twonn_ml.{s}", 1e-6, cs.twonn, (SINGLES[s],), {"method": "mle"}) for s in SINGLES],
    # scikit-dimension divides by K - 1 and takes the harmonic mean unless told otherwise.
    *[(f"skdim.mle20.{s}", 1e-6, cs.dimension_mle, (SINGLES[s],), {"k": 20}) for s in SINGLES],
    *[
        (
            f"skdim.mle20_mean.{s}",
            1e-6,
            cs.dimension_mle,
            (SINGLES[s],),
            {"k": 20, "combine": "mean"},
        )
        for s in SINGLES
    ],
]

# platonic-rep adds 1e-6 to the denominator of CKA too, where HSIC is about 1e-3 or 1e-2;
# dcor's squared covariance has no name of ours.
OTHERWISE = {"prh.cka.ip.unbiased", "prh.cka.rbf1.unbiased", "dcor.dcov_sqr"}


@pytest.mark.parametrize(
    ("name", "rel", "metric", "arrays", "options"), EQUAL, ids=[e[0] for e in EQUAL]
)
def test_equals_the_peer(name, rel, metric, arrays, options, backend):
    score = metric(*arrays, backend=backend, **options)
    if metric is cs.information_imbalance:
        score = score[0]
    assert score == pytest.approx(VALUES[name], rel=rel)


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        ("prh.cka.ip.unbiased", {"kernel": "linear"}),
        ("prh.cka.rbf1.unbiased", {"kernel": "rbf", "bandwidth": 1.0}),
    ],
)
def test_unbiased_cka_differs_from_the_peer_by_its_epsilon_alone(name, kernel, backend):
    xy, xx, yy = (cs.hsic(*pair, backend=backend, **kernel) for pair in ((A, B), (A, A), (B, B)))
    assert xy / (math.sqrt(xx * yy) + 1e-6) == pytest.approx(VALUES[name], rel=1e-6)
    ours = cs.cka(A, B, debiased=True, backend=backend, **kernel)
    assert ours == pytest.approx(xy / math.sqrt(xx * yy), rel=1e-12)
    assert ours - VALUES[name] > 1e-5


def test_every_golden_number_is_used():
    assert {e[0] for e in EQUAL} | OTHERWISE == set(VALUES)
