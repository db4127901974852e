from __future__ import annotations

import numpy as np
import pytest

import gpu

ON_HOST = ["native", "array"]


def pytest_addoption(parser):
    gpu.add_options(parser)


def pytest_generate_tests(metafunc):
    gpu.parametrize(metafunc, "backend", ON_HOST)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    gpu.check(item)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def backend(request):
    """Every backend this machine can run; the array backend is the NumPy reference."""
    return request.param if request.param in ON_HOST else gpu.on_gpu(request.param)


@pytest.fixture
def paired(rng):
    """Two embeddings that share half of what they know."""
    shared = rng.standard_normal((97, 6))
    X = np.hstack([shared, rng.standard_normal((97, 6))])
    Y = np.hstack([shared, rng.standard_normal((97, 9))]) @ rng.standard_normal((15, 11))
    return X, Y
