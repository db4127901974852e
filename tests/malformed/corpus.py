"""The corpus by format, and how many files each must have at least."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from malformed import native, others, stores

Cases = Iterator[tuple[str, Path]]


def _files(suffix: str, cases: Callable[[Path], Iterator[tuple[str, bytes]]]):
    """Return the corpus of a format whose cases are bytes of one file."""

    def made(folder: Path) -> Cases:
        path = folder / f"case{suffix}"
        for name, content in cases(folder):
            path.write_bytes(content)
            yield name, path

    return made


CORPUS: dict[str, Callable[[Path], Cases]] = {
    "npy": _files(".npy", native.npy_cases),
    "npz": _files(".npz", native.npz_cases),
    "safetensors": _files(".safetensors", native.safetensors_cases),
    "store": stores.store_cases,
    "torch": _files(".pt", others.torch_cases),
    "parquet": _files(".parquet", others.parquet_cases),
    "arrow": _files(".arrow", others.arrow_cases),
    "hdf5": _files(".h5", others.hdf5_cases),
    "h5ad": _files(".h5ad", others.h5ad_cases),
    "zarr": others.zarr_cases,
    "saved": others.saved_cases,
    "csv": _files(".csv", others.csv_cases),
}
LEAST = {name: 300 if name in ("npy", "npz", "safetensors", "store") else 50 for name in CORPUS}
LIBRARY = {"torch": "torch", "parquet": "pyarrow", "arrow": "pyarrow", "saved": "pyarrow"}
LIBRARY |= {"csv": "pyarrow", "hdf5": "h5py", "h5ad": "h5py", "zarr": "zarr"}
