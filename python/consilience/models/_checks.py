"""What a model can read, and whether what it gives is whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience.datasets import Atoms, Samples
from consilience.models._guard import ModelError
from consilience.models._network import States, pool_layer
from consilience.models._registry import Model


def readable(model: Model, samples: Samples) -> tuple[list[int], tuple[str, ...]]:
    """Return the positions of the samples that the model can read, and the ids of the others."""
    everything = list(range(len(samples)))
    if model.representation == "ids":
        return everything, ()
    values = samples.columns[model.representation]
    known = [i for i in everything if _can_read(model, values[i])]
    if not known:
        raise ModelError(f"{model.name} can read none of the {len(samples)} samples: {_why(model)}")
    skipped = sorted(set(everything) - set(known))
    return known, tuple(samples.ids[i] for i in skipped)


def _can_read(model: Model, value: Any) -> bool:
    if not isinstance(value, Atoms):
        return value is not None
    if any(value.pbc) and not model.periodic:
        return False
    return model.elements is None or model.elements.issuperset(value.numbers.tolist())


def _why(model: Model) -> str:
    if model.representation != "atoms":
        return f"not one could be written as {model.representation}"
    crystals = "" if model.periodic else ", or are crystals where it reads molecules alone"
    return f"they have elements it does not know{crystals}"


def check_device(model: Model, device: str) -> None:
    """Raise if torch would run on a device that is not there."""
    if device == "cpu" or "torch" not in model.requires:
        return
    import torch

    if device.partition(":")[0] == "cuda" and not torch.cuda.is_available():
        raise ModelError(f"{model.name} cannot run on {device!r}: torch sees no CUDA device")


def check_layers(model: Model, wanted: Sequence[str], layers: tuple[str, ...]) -> None:
    """Raise unless all layers asked for are known."""
    if not wanted:
        raise ValueError(f"`layers` is empty; {model.name} has {', '.join(layers)}")
    for layer in wanted:
        if layer not in layers:
            raise ValueError(
                f"{model.name} has no layer {layer!r}; from the input on: {', '.join(layers)}"
            )


def check_rows(
    model: Model, states: States, layer: str, pooling: str, ids: tuple[str, ...]
) -> NDArray[np.float32]:
    """Return one finite row per sample."""
    if layer not in states.layers:
        raise ModelError(f"{model.name} gave no states of layer {layer!r}")
    n_given = len(states.layers[layer])
    if n_given != len(ids):
        raise ModelError(f"{model.name} gave {n_given} embeddings for {len(ids)} samples")
    try:
        rows = pool_layer(states, layer, pooling)
    except ValueError as error:
        raise ModelError(f"{model.name}, near {ids[0]!r}: {error}") from error
    _check_finite(model, f"layer {layer!r}", np.asarray(np.isfinite(rows).all(axis=1)), ids)
    return rows


def check_width(model: Model, rows: NDArray[np.float32], ids: tuple[str, ...]) -> None:
    """Raise unless the default layer is as wide as is said of the model."""
    if model.width is not None and rows.shape[1] != model.width:
        raise ModelError(
            f"{model.name} gave width {rows.shape[1]} for {ids[0]!r}, expected {model.width}"
        )


def check_outputs(
    model: Model, outputs: Mapping[str, Any], ids: tuple[str, ...]
) -> dict[str, NDArray[np.float64]]:
    """Return the predictions as finite float64."""
    result = {name: np.asarray(values, dtype=np.float64) for name, values in outputs.items()}
    for name, values in result.items():
        if values.shape != (len(ids),):
            raise ModelError(
                f"{model.name} gave {name!r} of shape {values.shape} for {len(ids)} samples"
            )
        _check_finite(model, repr(name), np.isfinite(values), ids)
    return result


def _check_finite(
    model: Model, where: str, finite: NDArray[np.bool_], ids: tuple[str, ...]
) -> None:
    if not finite.all():
        sample = ids[int(finite.argmin())]
        raise ModelError(f"{model.name} gave NaN or infinity in {where} for {sample!r}")
