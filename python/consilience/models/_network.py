"""What a loaded model is: named hidden layers, and states of every atom, token or residue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Tokens = Sequence[NDArray[np.floating[Any]]]


@dataclass(frozen=True, eq=False)
class States:
    """Hidden states of a few samples.

    Attributes
    ----------
    layers : mapping of str to list of arrays of shape (n_tokens_i, width)
        Per layer one array per sample, one row per atom, token or residue; padding and
        special tokens have no row. A model with one vector per sample gives one row.
    outputs : mapping of str to array of shape (n_samples,)
        What the model predicts: "energy_ev" is the total energy in eV.
    leading : mapping of str to array of shape (n_samples, width)
        Per layer the state of the special token in front ("[CLS]"), if the model has one.
    """

    layers: Mapping[str, Tokens]
    outputs: Mapping[str, NDArray[np.floating[Any]]] = field(default_factory=dict)
    leading: Mapping[str, NDArray[np.floating[Any]]] = field(default_factory=dict)


class Network(Protocol):
    """A model with its weights, ready to run."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the hidden layers from the input on; the last one is the default."""
        ...

    def run(self, values: Sequence[Any], layers: Sequence[str]) -> States:
        """Return the states of `values` in the layers asked for, which are all known."""
        ...


POOLINGS: dict[str, Callable[[NDArray[np.floating[Any]]], NDArray[np.float64]]] = {
    "mean": lambda tokens: tokens.mean(axis=0, dtype=np.float64),
    "sum": lambda tokens: tokens.sum(axis=0, dtype=np.float64),
    "cls": lambda tokens: tokens[0].astype(np.float64),
    "last": lambda tokens: tokens[-1].astype(np.float64),
}


def pool_layer(states: States, layer: str, pooling: str) -> NDArray[np.float32]:
    """Make one row per sample of the states of a layer.

    Parameters
    ----------
    states : States
    layer : str
    pooling : str
        "mean" or "sum" over the tokens; "last", the state of the last one; "cls", that of the
        special token in front where the model has one, else of the first token.

    Returns
    -------
    float32 array of shape (n_samples, width)

    Raises
    ------
    ValueError
        If a sample has no token or another width than the first.
    """
    tokens = states.layers[layer]
    for number, array in enumerate(tokens):
        if array.ndim != 2 or not len(array) or array.shape[1] != tokens[0].shape[1]:
            raise ValueError(
                f"layer {layer!r} gave shape {array.shape} for sample {number} of a batch, "
                f"expected (n_tokens, {tokens[0].shape[-1]}) with at least one token"
            )
    if pooling == "cls" and layer in states.leading:
        return np.asarray(states.leading[layer], dtype=np.float32)
    pool = POOLINGS[pooling]
    return np.stack([pool(array) for array in tokens]).astype(np.float32)


@dataclass(frozen=True)
class RowFunction:
    """A network of one layer: a function from values to one row each."""

    function: Callable[[list[Any]], Any]
    layers: tuple[str, ...] = ("rows",)

    def run(self, values: Sequence[Any], layers: Sequence[str]) -> States:
        rows = np.asarray(self.function(list(values)))
        if rows.ndim != 2 or len(rows) != len(values):
            raise ValueError(
                f"the function gave shape {rows.shape}, expected ({len(values)}, width)"
            )
        tokens = [row[None] for row in rows]
        return States(dict.fromkeys(layers, tokens))
