"""Adapters of models: samples in, embeddings out. One file per family.

A new model is one file here with a function under `@model(...)` that loads a `Network`; every
file of this folder whose name has no underscore in front is found by itself. What an embedding
is, unless something else is asked for: the last hidden layer before the readout, averaged over
the atoms or tokens of a sample.
"""

import importlib
import pkgutil

from consilience.models._guard import OFFLINE, ModelError
from consilience.models._module import from_function, from_module
from consilience.models._network import POOLINGS, Network, States
from consilience.models._registry import (
    MODELS,
    Model,
    available,
    find_model,
    model,
    versions,
)
from consilience.models._run import (
    DEFAULT_BATCH_SIZE,
    Batch,
    LayerBatch,
    Run,
    embed,
    embed_layers,
    layers_of,
)

for _file in sorted(found.name for found in pkgutil.iter_modules(__path__)):
    if not _file.startswith("_"):
        importlib.import_module(f"{__name__}.{_file}")

__all__ = [
    "DEFAULT_BATCH_SIZE",
    "MODELS",
    "OFFLINE",
    "POOLINGS",
    "Batch",
    "LayerBatch",
    "Model",
    "ModelError",
    "Network",
    "Run",
    "States",
    "available",
    "embed",
    "embed_layers",
    "find_model",
    "from_function",
    "from_module",
    "layers_of",
    "model",
    "versions",
]
