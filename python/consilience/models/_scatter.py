"""A stand-in for torch_scatter, which needs a compiler and hours to build."""

from __future__ import annotations

import importlib.util
import sys
import types
from typing import Any


def stand_in_for_torch_scatter() -> None:
    """Let libraries import ``torch_scatter``; where it is installed, nothing is done.

    The two functions that they use of it are one call of torch_geometric each.
    """
    if "torch_scatter" in sys.modules or importlib.util.find_spec("torch_scatter") is not None:
        return
    module = types.ModuleType("torch_scatter")
    module.__dict__.update(scatter=_scatter, scatter_add=_scatter)
    sys.modules["torch_scatter"] = module


def _scatter(
    src: Any,
    index: Any,
    dim: int = -1,
    out: Any = None,
    dim_size: int | None = None,
    reduce: str = "sum",
) -> Any:
    from torch_geometric.utils import scatter

    if out is not None:
        raise NotImplementedError("the stand-in for torch_scatter cannot add to `out`")
    if index.dim() > 1:
        raise NotImplementedError("the stand-in for torch_scatter takes one index per row")
    return scatter(src, index, dim=dim, dim_size=dim_size, reduce=reduce)
