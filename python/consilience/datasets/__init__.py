"""Samples to embed. One file per dataset; importing the package registers them.

A new dataset is one file here with a function under `@dataset(...)` that returns `Samples`,
and one name in the import below.
"""

from consilience.datasets import qm9, smiles_file
from consilience.datasets._registry import (
    DATASETS,
    Dataset,
    dataset,
    find_dataset,
    load_samples,
    missing,
)
from consilience.datasets._samples import Atoms, Samples

__all__ = [
    "DATASETS",
    "Atoms",
    "Dataset",
    "Samples",
    "dataset",
    "find_dataset",
    "load_samples",
    "missing",
    "qm9",
    "smiles_file",
]
