from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(params=["native", "array"])
def backend(request):
    """Every backend this machine can run; the array backend is the NumPy reference."""
    return request.param


@pytest.fixture
def paired(rng):
    """Two embeddings that share half of what they know."""
    shared = rng.standard_normal((97, 6))
    X = np.hstack([shared, rng.standard_normal((97, 6))])
    Y = np.hstack([shared, rng.standard_normal((97, 9))]) @ rng.standard_normal((15, 11))
    return X, Y
