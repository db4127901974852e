"""Models of the user's own: a torch module with a hidden layer by path, or any function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience.models._hooks import Tap, Taps, split_padded, split_rows
from consilience.models._network import RowFunction, States
from consilience.models._registry import Model

SECONDS_PER_1K = 10.0  # a guess that only orders the work


def from_module(
    module: Any,
    layer: str | Sequence[str],
    *,
    name: str,
    inputs: Callable[[list[Any]], Any],
    lengths: Callable[[list[Any]], Sequence[int]] | None = None,
    column: str = "smiles",
    pooling: str = "mean",
    **facts: Any,
) -> Model:
    """Make a model of a torch module: hidden layers are read where the paths say.

    Parameters
    ----------
    module : torch.nn.Module
        Is put in evaluation mode, and on the device of `embed`.
    layer : str or sequence of str
        Paths of submodules, "encoder.layer.3", whose outputs are the hidden layers, from the
        input on; the last one is the default.
    name : str
        What to call it.
    inputs : callable
        Takes a list of samples (values of `column`), returns what the module is called with: a
        tuple for several arguments, a dict for keywords, else the one argument. Tensors in it
        are moved to the device.
    lengths : callable, optional
        Takes the same list, returns how many tokens each sample has. Needed where batches are
        padded, or where the tokens of all samples lie in one array.
    column : str
        Representation that it reads; "ids" for the ids.
    pooling : str
        How tokens become one row.
    **facts
        More attributes of `Model`: modality, family, parameters, training_data, …

    Returns
    -------
    Model
        For `embed`, `embed_layers` and the study.

    Raises
    ------
    ValueError
        If there is no such submodule or pooling.

    Notes
    -----
    A layer may give (n_samples, width), (n_samples, n_tokens, width), or with `lengths`
    (sum of lengths, width).

    Examples
    --------
    >>> import torch
    >>> module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
    >>> def inputs(smiles):
    ...     return torch.tensor([[s.count("C"), s.count("O")] for s in smiles]).float()
    >>> from_module(module, "0", name="mine", inputs=inputs).name
    'mine'
    """
    paths = (layer,) if isinstance(layer, str) else tuple(layer)
    taps = Taps(module, {path: Tap(path) for path in paths})

    def load(*, checkpoint: str, device: str) -> _HookedModule:
        return _HookedModule(module.to(device).eval(), taps, inputs, lengths, device)

    n_parameters = sum(parameter.numel() for parameter in module.parameters())
    kind = type(module).__name__
    known = {
        "summary": f"torch module {kind}",
        "architecture": kind,
        "parameters": n_parameters,
        "requires": ("torch",),
        "install": "pip install torch",
    }
    return _own_model(name, column, load, pooling=pooling, **{**known, **facts})


def from_function(
    function: Callable[[list[Any]], Any],
    *,
    name: str,
    width: int | None = None,
    column: str = "smiles",
    **facts: Any,
) -> Model:
    """Make a model of a function.

    Parameters
    ----------
    function : callable
        Takes a list of samples (values of `column`), returns (n_samples, width).
    name : str
        What to call it.
    width : int, optional
        Number of features, if it is known.
    column : str
        Representation that it reads; "ids" for the ids.
    **facts
        More attributes of `Model`: modality, family, parameters, training_data, …

    Returns
    -------
    Model

    Examples
    --------
    >>> from_function(lambda smiles: [[len(s)] for s in smiles], name="length", width=1).width
    1
    """

    def load(*, checkpoint: str, device: str) -> RowFunction:
        return RowFunction(function)

    known = {"summary": "a function", "architecture": "function", "width": width}
    return _own_model(name, column, load, **{**known, **facts})


MODALITY_OF_COLUMN = {"atoms": "3D", "sequence": "sequence", "structure": "structure"}


def _own_model(name: str, column: str, load: Callable[..., Any], **facts: Any) -> Model:
    known = {
        "family": name,
        "modality": MODALITY_OF_COLUMN.get(column, "string"),
        "embedding": "vanilla",
        "license": "not stated",
        "weights": "of the user",
        "checkpoint": "",
        "seconds_per_1k": SECONDS_PER_1K,
    }
    return Model(name=name, representation=column, load=load, **{**known, **facts})


@dataclass(frozen=True)
class _HookedModule:
    module: Any
    taps: Taps
    inputs: Callable[[list[Any]], Any]
    lengths: Callable[[list[Any]], Sequence[int]] | None
    device: str

    @property
    def layers(self) -> tuple[str, ...]:
        return self.taps.layers

    def run(self, values: Sequence[Any], layers: Sequence[str]) -> States:
        import torch

        values = list(values)
        arguments = _moved(self.inputs(values), self.device)
        with torch.inference_mode(), self.taps.read(layers) as found:
            if isinstance(arguments, Mapping):
                self.module(**arguments)
            else:
                self.module(*(arguments if isinstance(arguments, tuple) else (arguments,)))
        lengths = None if self.lengths is None else list(self.lengths(values))
        return States({layer: _split(found[layer], len(values), lengths) for layer in layers})


def _moved(value: Any, device: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _moved(part, device) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(_moved(part, device) for part in value)
    return value.to(device) if hasattr(value, "to") else value


def _split(
    tensor: Any, n_samples: int, lengths: list[int] | None
) -> list[NDArray[np.floating[Any]]]:
    if tensor.ndim == 3:
        return split_padded(tensor, lengths or [tensor.shape[1]] * n_samples)
    return split_rows(tensor, lengths or [1] * n_samples)
