"""What hsic and cka share: a kernel, its bandwidth, and the terms they ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from consilience._validate import check_choice, check_positive
from consilience.inference.blocks import Block
from consilience.metrics._kernels import CenteredKernels, of_moments, of_pairs
from consilience.metrics._registry import MetricSettings
from consilience.needs import MomentNeed, Normalize, PairNeed, View


@dataclass(frozen=True)
class KernelSettings(MetricSettings):
    """A kernel on prepared rows; the linear one needs no pass over pairs of samples."""

    kernel: Literal["linear", "rbf"] = "linear"
    bandwidth: float | Literal["median"] = "median"
    bandwidth_factor: float = 1.0
    normalize: Normalize = "none"

    def __post_init__(self) -> None:
        check_choice(self.kernel, "kernel", ["linear", "rbf"])
        if self.bandwidth != "median":
            if isinstance(self.bandwidth, str):
                check_choice(self.bandwidth, "bandwidth", ["median"])
            check_positive(self.bandwidth, "bandwidth")
        check_positive(self.bandwidth_factor, "bandwidth_factor")

    @property
    def need(self) -> MomentNeed | PairNeed:
        """Return what the kernel asks for."""
        view = View(self.normalize)
        if self.kernel == "linear":
            return MomentNeed(view)
        return PairNeed(view, "rbf", self.bandwidth, self.bandwidth_factor)

    def needs(self) -> tuple[MomentNeed | PairNeed, ...]:
        """Return the terms the formula reads."""
        return (self.need,)

    def blocks(self, terms: Any, a: int, b: int) -> tuple[Block, Block]:
        """Return the kernels of a and b among some samples."""
        return terms.block(a, self.need), terms.block(b, self.need)

    def kernels(self, terms: Any, a: int, b: int) -> CenteredKernels:
        """Return the centred products of the kernels of models a and b."""
        need = self.need
        if isinstance(need, PairNeed):
            return of_pairs(terms, a, b, need)
        pairs = ((a, b), (a, a), (b, b))
        return of_moments(*(terms.moments(x, y, need) for x, y in pairs))
