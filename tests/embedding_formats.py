"""One embedding written in every format that is read, by the libraries that people use."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

IDS_IN = {"parquet lists", "parquet columns", "arrow lists", "arrow stream", "csv", "tsv", "h5ad"}
IDS_IN |= {"saved dataset", "hdf5 ids"}


def _npy(folder, X, ids):
    np.save(folder / "a.npy", X)
    return folder / "a.npy"


def _npy_columns(folder, X, ids):
    np.save(folder / "a.npy", np.asfortranarray(X))
    return folder / "a.npy"


def _npz(folder, X, ids):
    np.savez(folder / "a.npz", X, labels=np.arange(len(X)))
    return folder / "a.npz"


def _npz_named(folder, X, ids):
    np.savez(folder / "a.npz", emb=X, other=X[::-1])
    return f"{folder / 'a.npz'}::emb"


def _npz_packed(folder, X, ids):
    np.savez_compressed(folder / "a.npz", X)
    return folder / "a.npz"


def _npz_packed_columns(folder, X, ids):
    np.savez_compressed(folder / "a.npz", np.asfortranarray(X))
    return folder / "a.npz"


def _safetensors(folder, X, ids):
    import safetensors.numpy

    safetensors.numpy.save_file({"x": X, "y": X[::-1].copy()}, folder / "a.safetensors")
    return f"{folder / 'a.safetensors'}::x"


def _torch(folder, X, ids):
    import torch

    torch.save(torch.from_numpy(X.copy()), folder / "a.pt")
    return folder / "a.pt"


def _torch_mapping(folder, X, ids):
    import torch

    wide = torch.from_numpy(np.concatenate([X, X], axis=1))
    torch.save({"emb": wide[:, : X.shape[1]], "labels": torch.arange(len(X))}, folder / "a.pth")
    return folder / "a.pth"


def _columns(X, ids, *, lists, fixed=False):
    import pyarrow as pa

    columns = {"id": pa.array(ids)} if ids is not None else {}
    if not lists:
        columns |= {f"x{i}": pa.array(X[:, i]) for i in range(X.shape[1])}
    elif fixed:
        flat = pa.array(X.ravel())
        columns["emb"] = pa.FixedSizeListArray.from_arrays(flat, X.shape[1])
    else:
        columns["emb"] = pa.array(list(X))
    return pa.table({**columns, "note": pa.array(["words"] * len(X))})


def _parquet_lists(folder, X, ids):
    import pyarrow.parquet as pq

    pq.write_table(_columns(X, ids, lists=True), folder / "a.parquet", row_group_size=7)
    return folder / "a.parquet"


def _parquet_fixed(folder, X, ids):
    import pyarrow.parquet as pq

    pq.write_table(_columns(X, None, lists=True, fixed=True), folder / "a.parquet")
    return f"{folder / 'a.parquet'}::emb"


def _parquet_columns(folder, X, ids):
    import pyarrow.parquet as pq

    pq.write_table(_columns(X, ids, lists=False), folder / "a.parquet", row_group_size=7)
    return f"{folder / 'a.parquet'}::x*"


def _arrow(folder, X, ids):
    import pyarrow as pa

    table = _columns(X, ids, lists=True, fixed=True)
    with pa.OSFile(str(folder / "a.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as w:
        w.write_table(table, max_chunksize=5)
    return folder / "a.arrow"


def _arrow_stream(folder, X, ids):
    import pyarrow as pa

    table = _columns(X, ids, lists=True)
    path = folder / "a.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as w:
        w.write_table(table, max_chunksize=5)
    return path


def _feather(folder, X, ids):
    import pyarrow.feather

    table = _columns(X, None, lists=False)
    pyarrow.feather.write_feather(table, folder / "a.feather", compression="lz4", chunksize=6)
    return folder / "a.feather"


def _hdf5(folder, X, ids):
    import h5py

    with h5py.File(folder / "a.h5", "w") as file:
        file["group/emb"] = X
        file["labels"] = np.arange(len(X))
    return folder / "a.h5"


def _hdf5_ids(folder, X, ids):
    import h5py

    with h5py.File(folder / "a.hdf5", "w") as file:
        file.create_dataset("emb", data=X, chunks=(4, 2), compression="gzip")
        file["ids"] = list(ids)
        file["other"] = X[::-1]
    return f"{folder / 'a.hdf5'}::emb"


def _h5ad(folder, X, ids):
    import h5py

    with h5py.File(folder / "a.h5ad", "w") as file:
        obs = file.create_group("obs")
        obs.attrs["_index"] = "names"
        obs["names"] = list(ids)
        file.create_group("X").attrs["encoding-type"] = "csr_matrix"
        file["obsm/X_pca"] = X
    return f"{folder / 'a.h5ad'}::obsm/X_pca"


def _zarr(folder, X, ids):
    import zarr

    array = zarr.create_array(
        folder / "a.zarr", shape=X.shape, dtype=X.dtype, chunks=(4, 2), zarr_format=3
    )
    array[:] = X
    return folder / "a.zarr"


def _zarr_sharded(folder, X, ids):
    import zarr

    group = zarr.create_group(folder / "a.zarr", zarr_format=3)
    array = group.create_array("emb", shape=X.shape, dtype=X.dtype, chunks=(2, 1), shards=(8, 2))
    array[:] = X
    return f"{folder / 'a.zarr'}::emb"


def _saved_dataset(folder, X, ids):
    """Write the layout of `Dataset.save_to_disk`: streams, and a list of them."""
    import pyarrow as pa

    saved = folder / "saved" / "train"
    saved.mkdir(parents=True)
    table, half = _columns(X, ids, lists=True), len(X) // 2
    names = []
    for number, part in enumerate((table.slice(0, half), table.slice(half))):
        names.append(f"data-{number:05d}-of-00002.arrow")
        with pa.OSFile(str(saved / names[-1]), "wb") as s, pa.ipc.new_stream(s, part.schema) as w:
            w.write_table(part, max_chunksize=4)
    state = {"_data_files": [{"filename": name} for name in names], "_format_type": None}
    (saved / "state.json").write_text(json.dumps(state))
    (saved.parent / "dataset_dict.json").write_text(json.dumps({"splits": ["train"]}))
    return saved.parent


def _text(path, X, ids, delimiter, header):
    lines = [delimiter.join(["id", *(f"x{i}" for i in range(X.shape[1]))])] if header else []
    for sample, row in zip(ids, X, strict=True):
        lines.append(delimiter.join([sample, *(repr(float(v)) for v in row)]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _csv(folder, X, ids):
    return _text(folder / "a.csv", X, ids, ",", header=True)


def _tsv(folder, X, ids):
    return _text(folder / "a.tsv", X, ids, "\t", header=False)


def _csv_numbers(folder, X, ids):
    np.savetxt(folder / "a.csv", X, delimiter=",", fmt="%.17g")
    return folder / "a.csv"


Writer = Callable[[Path, np.ndarray, Sequence[str]], Path | str]

FORMATS: dict[str, Writer] = {
    "npy": _npy,
    "npy columns": _npy_columns,
    "npz": _npz,
    "npz named": _npz_named,
    "npz packed": _npz_packed,
    "npz packed columns": _npz_packed_columns,
    "safetensors": _safetensors,
    "torch": _torch,
    "torch mapping": _torch_mapping,
    "parquet lists": _parquet_lists,
    "parquet fixed": _parquet_fixed,
    "parquet columns": _parquet_columns,
    "arrow lists": _arrow,
    "arrow stream": _arrow_stream,
    "feather": _feather,
    "hdf5": _hdf5,
    "hdf5 ids": _hdf5_ids,
    "h5ad": _h5ad,
    "zarr": _zarr,
    "zarr sharded": _zarr_sharded,
    "saved dataset": _saved_dataset,
    "csv": _csv,
    "tsv": _tsv,
    "csv numbers": _csv_numbers,
}
TEXT = {"csv", "tsv", "csv numbers"}
LIBRARY = {
    "torch": "torch",
    "parquet": "pyarrow",
    "arrow": "pyarrow",
    "feather": "pyarrow",
    "saved": "pyarrow",
    "csv": "pyarrow",
    "tsv": "pyarrow",
    "hdf5": "h5py",
    "h5ad": "h5py",
    "zarr": "zarr",
}


def library_of(name: str) -> str | None:
    """Return what reads a format, or None where that is NumPy."""
    return LIBRARY.get(name.partition(" ")[0])
