"""Adapters of models: samples in, embeddings out. One file per family.

A new model is one file here with a function under `@model(...)` that yields (ids, array),
and one name in the import below. What an embedding is: the last hidden layer before the
readout, averaged over the atoms or tokens of a sample.
"""

from consilience.models import (
    aimnet2,
    chemnet,
    chgnet,
    minilm,
    minimol,
    morgan,
    random,
    rxnfp,
    rxnmapper,
    sevennet,
)
from consilience.models._registry import (
    MODELS,
    Batches,
    Model,
    available,
    find_model,
    model,
    versions,
)
from consilience.models._run import DEFAULT_BATCH_SIZE, OFFLINE, ModelError, embed

__all__ = [
    "DEFAULT_BATCH_SIZE",
    "MODELS",
    "OFFLINE",
    "Batches",
    "Model",
    "ModelError",
    "aimnet2",
    "available",
    "chemnet",
    "chgnet",
    "embed",
    "find_model",
    "minilm",
    "minimol",
    "model",
    "morgan",
    "random",
    "rxnfp",
    "rxnmapper",
    "sevennet",
    "versions",
]
