"""Samples to embed. One file per dataset; importing the package registers them.

A new dataset is one file here with a function under `@dataset(...)` that returns `Samples`.
Files whose names begin with an underscore are helpers and register nothing.
"""

from importlib import import_module
from pkgutil import iter_modules

from consilience.datasets._compositions import compositions
from consilience.datasets._install import install
from consilience.datasets._registry import (
    DATASETS,
    Dataset,
    dataset,
    find_dataset,
    load_samples,
    missing,
)
from consilience.datasets._samples import Atoms, Backbone, Samples

__all__ = [
    "DATASETS",
    "Atoms",
    "Backbone",
    "Dataset",
    "Samples",
    "compositions",
    "dataset",
    "find_dataset",
    "install",
    "load_samples",
    "missing",
]

for _found in iter_modules(__path__):
    if not _found.name.startswith("_"):
        import_module(f"{__name__}.{_found.name}")
