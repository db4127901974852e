"""DADApy runs in an interpreter of its own, because its wheels are bound to NumPy 1.

Name that interpreter in CONSILIENCE_DADAPY_PYTHON, for example
`python -m venv peer && peer/bin/pip install dadapy` and then `peer/bin/python`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import consilience as cs
from consilience.compat.dadapy import MetricComparisons

PEER = r"""
import json, sys
import numpy as np
from dadapy import Data, MetricComparisons

job = json.load(sys.stdin)
X, Y = (np.array(job[name]) for name in ("X", "Y"))
n = len(X)
data = Data(X, maxk=n - 1, verbose=False)
data.compute_distances()
out = {"base": data.compute_id_2NN(algorithm="base")[0]}
out["ml"] = data.compute_id_2NN(algorithm="ml")[0]
left = list(range(X.shape[1]))
right = list(range(X.shape[1], X.shape[1] + Y.shape[1]))
for maxk in (n - 1, 20):
    both = MetricComparisons(np.hstack([X, Y]), maxk=maxk)
    for k in (1, 5):
        pair = both.return_inf_imb_two_selected_coords(left, right, k=k)
        out[f"ii {maxk} {k}"] = [float(v) for v in pair]
both = MetricComparisons(np.hstack([X, Y]), maxk=n - 1)
out["full"] = both.return_inf_imb_full_selected_coords([[0, 1], [2]], k=2).tolist()
out["matrix"] = both.return_inf_imb_matrix_of_coords(k=3).tolist()
one = MetricComparisons(X, maxk=n - 1)
out["sets"] = [v.tolist() for v in one.return_information_imbalace(Y, k=2)]
one = MetricComparisons(X, maxk=n - 1)
out["subsets"] = [v.tolist() for v in one.return_information_imbalace(Y, subset_size=50)]
print("RESULT " + json.dumps(out))
"""


def interpreter():
    return os.environ.get("CONSILIENCE_DADAPY_PYTHON", sys.executable)


@pytest.fixture(scope="module")
def sets():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((150, 4))
    return X, np.hstack([X[:, :2], rng.standard_normal((150, 3))])


@pytest.fixture(scope="module")
def peer(sets):
    probe = subprocess.run([interpreter(), "-c", "import dadapy"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("DADApy cannot be imported by this interpreter; set CONSILIENCE_DADAPY_PYTHON")
    X, Y = sets
    done = subprocess.run(
        [interpreter(), "-c", PEER],
        input=json.dumps({"X": X.tolist(), "Y": Y.tolist()}),
        capture_output=True,
        text=True,
        check=True,
    )
    line = next(s for s in done.stdout.splitlines() if s.startswith("RESULT "))
    return json.loads(line.removeprefix("RESULT "))


def test_twonn_by_a_line(peer, sets):
    # Theirs is a general curve fit that stops at 1e-8 or so; the slope has a closed form.
    assert cs.twonn(sets[0]) == pytest.approx(peer["base"], rel=1e-6)


def test_twonn_by_maximum_likelihood(peer, sets):
    assert cs.twonn(sets[0], method="mle") == pytest.approx(peer["ml"], rel=1e-9)


@pytest.mark.parametrize("k", [1, 5])
def test_information_imbalance_with_all_ranks(k, peer, sets):
    n = len(sets[0])
    scores = cs.information_imbalance(*sets, k=k)
    assert tuple(scores) == pytest.approx(peer[f"ii {n - 1} {k}"], rel=1e-9)


@pytest.mark.parametrize("k", [1, 5])
def test_ranks_beyond_maxk_are_random_for_the_peer_only(k, peer, sets):
    n = len(sets[0])
    cut, whole = peer[f"ii 20 {k}"][0], peer[f"ii {n - 1} {k}"][0]
    assert cut > 1.1 * whole
    assert cs.information_imbalance(*sets, k=k)[0] == pytest.approx(whole, rel=1e-9)


@pytest.mark.filterwarnings("ignore:subset_size")
def test_the_drop_in_is_the_peer_where_it_knows_all_ranks(peer, sets):
    X, Y = sets
    both = MetricComparisons(np.hstack([X, Y]))
    full = both.return_inf_imb_full_selected_coords([[0, 1], [2]], k=2)
    assert full == pytest.approx(np.array(peer["full"]), rel=1e-9)
    matrix = both.return_inf_imb_matrix_of_coords(k=3)
    # Columns 0 and 1 come twice, so that some distances tie, or nearly.
    assert matrix == pytest.approx(np.array(peer["matrix"]), rel=1e-9)
    for name, options in (("sets", {"k": 2}), ("subsets", {"subset_size": 50})):
        found = MetricComparisons(X).return_information_imbalace(Y, **options)
        assert np.array(found) == pytest.approx(np.array(peer[name]), rel=1e-9)
