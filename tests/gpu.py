"""Which tests run on a GPU: all of every backend where there is one, a handful to skip else."""

import pytest

from consilience.backends import GPU_BACKENDS, gpu_missing, select
from consilience.backends._gpus import gpu_problem


def add_options(parser):
    group = parser.getgroup("consilience")
    group.addoption(
        "--gpu", action="store_true", help="collect the tests on GPU backends, GPU or not"
    )
    group.addoption(
        "--gpu-required",
        nargs="?",
        const=",".join(GPU_BACKENDS),
        default="",
        metavar="BACKENDS",
        help="as --gpu, and a test that these backends (cuda,cupy) cannot run is an error",
    )


def gpu_params(config):
    """Return the GPU backends as parameters, where there is a GPU or they were asked for."""
    asked = config.getoption("--gpu") or config.getoption("--gpu-required")
    if not asked and gpu_problem() is not None:
        return []
    return [pytest.param(name, marks=pytest.mark.gpu(name)) for name in GPU_BACKENDS]


def parametrize(metafunc, fixture, host):
    """Give a fixture its parameters, those on a GPU last, unless the test gives its own."""
    given = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    names = {n.strip() for arg in given for n in (arg.split(",") if isinstance(arg, str) else arg)}
    if fixture in metafunc.fixturenames and fixture not in names:
        metafunc.parametrize(fixture, [*host, *gpu_params(metafunc.config)], indirect=True)


def on_gpu(name):
    """Return a GPU backend that takes NumPy arrays and brings them there."""
    return select(name, [], device="cuda")


def why_not(loaders):
    """Return why none of these loaders runs here, or None."""
    reasons = {name: _missing(name) for name in loaders}
    if None in reasons.values():
        return None
    return "; ".join(f"{name}: {reason}" for name, reason in reasons.items())


def _missing(name):
    try:
        return gpu_missing(name)
    except Exception as error:
        return f"cannot be loaded: {error}"


def check(item):
    """Skip a test marked `gpu` that cannot run, or fail it where it must."""
    mark = item.get_closest_marker("gpu")
    if mark is None:
        return
    loaders = mark.args or GPU_BACKENDS
    reason = why_not(loaders)
    if reason is None:
        return
    required = item.config.getoption("--gpu-required").split(",")
    if set(loaders) & set(required):
        pytest.fail(f"a GPU is required: {reason}", pytrace=False)
    pytest.skip(reason)
