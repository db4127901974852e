"""Which terms a kernel asks for, shared by hsic and cka."""

from __future__ import annotations

from typing import Any

from consilience._validate import check_choice, check_positive
from consilience.metrics._kernels import CenteredKernels, of_moments, of_sums
from consilience.metrics._registry import view_of
from consilience.needs import MomentNeed, PairNeed


def check_kernel(settings: Any) -> None:
    """Raise unless kernel and bandwidth make sense."""
    check_choice(settings.kernel, "kernel", ["linear", "rbf"])
    if settings.bandwidth != "median":
        if isinstance(settings.bandwidth, str):
            check_choice(settings.bandwidth, "bandwidth", ["median"])
        check_positive(settings.bandwidth, "bandwidth")
    check_positive(settings.bandwidth_factor, "bandwidth_factor")


def kernel_need(settings: Any) -> MomentNeed | PairNeed:
    """Return what the kernel of the settings needs."""
    if settings.kernel == "linear":
        return MomentNeed(view_of(settings))
    return PairNeed(view_of(settings), "rbf", settings.bandwidth, settings.bandwidth_factor)


def centered_kernels(terms: Any, a: int, b: int, need: MomentNeed | PairNeed) -> CenteredKernels:
    """Return the centred products of the kernels of models a and b."""
    if isinstance(need, PairNeed):
        return of_sums(terms.pair_sums(a, b, need))
    return of_moments(
        terms.moments(a, b, need), terms.moments(a, a, need), terms.moments(b, b, need)
    )
