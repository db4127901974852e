"""Hidden layers of torch modules, read by hooks while the module runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


def first_tensor(value: Any) -> Any:
    """Return the value itself, or the first tensor of a tuple, list or mapping."""
    import torch

    if isinstance(value, torch.Tensor):
        return value
    parts = value.values() if isinstance(value, Mapping) else value
    if isinstance(parts, str) or not hasattr(parts, "__iter__"):
        raise TypeError(f"a hook found {type(value).__name__}, expected a tensor")
    for part in parts:
        if isinstance(part, torch.Tensor):
            return part
    raise TypeError(f"a hook found {type(value).__name__} without a tensor in it")


@dataclass(frozen=True)
class Tap:
    """Where a layer is read.

    Attributes
    ----------
    path : str
        The submodule, as `get_submodule` takes it: "encoder.layer.3".
    side : str
        Its "output" or its "input".
    pick : callable
        Takes the tensor out of what the submodule gives, or is given (a tuple).
    """

    path: str
    side: Literal["output", "input"] = "output"
    pick: Callable[[Any], Any] = first_tensor


class Taps:
    """Hidden layers of a module by name; a layer may be the path itself.

    Parameters
    ----------
    module : torch.nn.Module
    taps : mapping of str to Tap or str
        In the order of the forward pass.

    Raises
    ------
    ValueError
        If the module has no such submodule.

    Examples
    --------
    >>> import torch
    >>> network = torch.nn.Sequential(torch.nn.Linear(2, 5), torch.nn.Linear(5, 1))
    >>> taps = Taps(network, {"hidden": "0", "readout": Tap("1", "input")})
    >>> with taps.read(["readout"]) as found:
    ...     prediction = network(torch.ones(3, 2))
    >>> found["readout"].shape
    torch.Size([3, 5])
    """

    def __init__(self, module: Any, taps: Mapping[str, Tap | str]) -> None:
        self._points = {
            layer: (_submodule(module, tap), tap)
            for layer, tap in (
                (layer, Tap(tap) if isinstance(tap, str) else tap) for layer, tap in taps.items()
            )
        }
        self.layers = tuple(self._points)

    @contextlib.contextmanager
    def read(self, layers: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Fill a dict with the tensors of the layers while the module runs.

        Hooks are taken off afterwards. A submodule that runs twice leaves its last tensor.
        """
        found: dict[str, Any] = {}
        handles = []
        try:
            for layer in layers:
                submodule, tap = self._points[layer]
                register = (
                    submodule.register_forward_hook
                    if tap.side == "output"
                    else submodule.register_forward_pre_hook
                )
                handles.append(register(_keeper(found, layer, tap)))
            yield found
        finally:
            for handle in handles:
                handle.remove()
        for layer in layers:
            if layer not in found:
                raise RuntimeError(f"the submodule of layer {layer!r} did not run")


def _submodule(module: Any, tap: Tap) -> Any:
    try:
        return module.get_submodule(tap.path)
    except AttributeError:
        names = [name for name, _ in module.named_modules() if name]
        shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
        raise ValueError(f"no submodule {tap.path!r}; there are: {shown}") from None


def _keeper(found: dict[str, Any], layer: str, tap: Tap) -> Callable[..., None]:
    def keep(module: Any, inputs: Any, output: Any = None) -> None:
        value = output if tap.side == "output" else inputs
        found[layer] = tap.pick(value).detach()

    return keep


def to_numpy(tensor: Any) -> NDArray[np.floating[Any]]:
    """Bring a tensor to the host; half precision becomes float32."""
    if isinstance(tensor, np.ndarray):
        return tensor
    import torch

    tensor = tensor.detach().cpu()
    if tensor.dtype in (torch.bfloat16, torch.float16):
        tensor = tensor.float()
    return np.asarray(tensor.numpy())


def split_rows(tensor: Any, counts: Sequence[int]) -> list[NDArray[np.floating[Any]]]:
    """Cut (n_tokens of all samples, width) into one array per sample.

    Raises
    ------
    ValueError
        If the rows are not as many as the samples have together.
    """
    array = to_numpy(tensor)
    if array.ndim != 2 or len(array) != sum(counts):
        raise ValueError(
            f"a layer gave shape {array.shape}, expected ({sum(counts)}, width): "
            "one row per token of the batch"
        )
    return np.split(array, np.cumsum(counts)[:-1])


def split_padded(
    tensor: Any, lengths: Sequence[int], *, start: int = 0
) -> list[NDArray[np.floating[Any]]]:
    """Cut (n_samples, longest, width) into one array per sample, without padding.

    `start` tokens in front are left out; `lengths` counts those behind them.
    """
    array = to_numpy(tensor)
    if array.ndim != 3 or len(array) != len(lengths) or array.shape[1] < start + max(lengths):
        raise ValueError(
            f"a layer gave shape {array.shape}, expected ({len(lengths)}, at least "
            f"{start + max(lengths)}, width)"
        )
    return [row[start : start + length] for row, length in zip(array, lengths, strict=True)]
