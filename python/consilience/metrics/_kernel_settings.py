"""What hsic and cka share: a kernel, its bandwidth, and the terms they ask for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

from consilience._validate import check_choice, check_positive
from consilience.inference.blocks import Block
from consilience.metrics._kernels import CenteredKernels, of_moments, of_pairs
from consilience.metrics._row_kernels import RowProducts, estimated_kernels, of_rows
from consilience.metrics._rows import RowSettings
from consilience.needs import MomentNeed, Normalize, PairNeed, View


@dataclass(frozen=True)
class KernelSettings(RowSettings):
    """A kernel on prepared rows; the linear one needs no pass over pairs of samples."""

    relabels_rows: ClassVar[bool] = True

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
        super().__post_init__()

    @property
    def why_all_rows(self) -> str | None:  # type: ignore[override]
        """Return why `rows` cannot be given."""
        if self.kernel == "rbf":
            return None
        return "its linear kernel is exact in one pass over all rows; leave `rows` out"

    @cached_property
    def need(self) -> MomentNeed | PairNeed:
        """Return what the kernel asks for."""
        view = View(self.normalize)
        if self.kernel == "linear":
            return MomentNeed(view)
        return PairNeed(view, "rbf", self.bandwidth, self.bandwidth_factor, self.rows, self.seed)

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
            if self.sampled(terms):
                return estimated_kernels(terms, a, b, need)
            return of_pairs(terms, a, b, need)
        pairs = ((a, b), (a, a), (b, b))
        return of_moments(*(terms.moments(x, y, need) for x, y in pairs))

    def products_of_rows(self, terms: Any, a: int, b: int, *, unbiased: bool) -> RowProducts:
        """Return what the sampled rows say of the products of the kernels of a and b."""
        need = self.need
        assert isinstance(need, PairNeed)
        return of_rows(terms, a, b, need, "u" if unbiased else "double")
