"""Every format gives the rows that were written, in any order of reading, with their ids."""

import sys

import numpy as np
import pytest

from consilience.store import open_rows, read_array
from consilience.store.readers import label_of
from embedding_formats import FORMATS, IDS_IN, TEXT, library_of

N, D = 23, 3
MAPPED = {"npy", "npy columns", "npz", "npz named", "safetensors", "torch", "hdf5", "h5ad"}
IDS = tuple(f"sample {i} ü" for i in range(N))


@pytest.fixture(params=FORMATS)
def name(request):
    library = library_of(request.param)
    if library:
        pytest.importorskip(library)
    return request.param


@pytest.fixture(params=["float32", "float64"])
def X(request):
    return np.random.default_rng(7).standard_normal((N, D)).astype(request.param)


def write(name, folder, X):
    return FORMATS[name](folder, X, IDS)


def test_rows_are_those_written(name, tmp_path, X):
    with open_rows(write(name, tmp_path, X)) as rows:
        assert rows.shape == (N, D)
        assert rows.dtype == (np.float64 if name in TEXT else X.dtype)
        assert rows.ids == (IDS if name in IDS_IN else None)
        np.testing.assert_array_equal(rows.read(0, N), X)


def test_rows_can_be_read_in_any_order(name, tmp_path, X):
    rng = np.random.default_rng(3)
    with open_rows(write(name, tmp_path, X)) as rows:
        for _ in range(12):
            start, stop = sorted(rng.integers(0, N + 1, 2).tolist())
            block = rows.read(start, stop)
            assert block.flags.writeable
            np.testing.assert_array_equal(block, X[start:stop])
        np.testing.assert_array_equal(np.concatenate(list(rows.blocks(5))), X)


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 2), (0, N + 1)])
def test_rows_that_are_not_there(name, tmp_path, X, start, stop):
    with (
        open_rows(write(name, tmp_path, X)) as rows,
        pytest.raises(IndexError, match=rf"rows 0 to {N}, not {start} to {stop}"),
    ):
        rows.read(start, stop)


def test_what_lies_as_it_is_is_mapped(name, tmp_path, X):
    path = write(name, tmp_path, X)
    with open_rows(path) as rows:
        array = rows.array()
        assert isinstance(array, np.memmap) == (name in MAPPED)
    whole = read_array(path)
    assert not whole.flags.writeable
    np.testing.assert_array_equal(whole, X)


@pytest.mark.parametrize("name", ["npy", "npz", "npz packed", "zarr", "hdf5", "parquet lists"])
def test_halves_stay_halves(name, tmp_path, X):
    if library_of(name):
        pytest.importorskip(library_of(name))
    half = X.astype(np.float16)
    array = read_array(write(name, tmp_path, half))
    assert array.dtype == np.float16
    np.testing.assert_array_equal(array, half)


@pytest.mark.parametrize("name", ["npy", "npz", "npz packed", "hdf5 ids"])
def test_big_endian_becomes_native_when_read(name, tmp_path, X):
    if library_of(name):
        pytest.importorskip(library_of(name))
    with open_rows(write(name, tmp_path, X.astype(X.dtype.newbyteorder(">")))) as rows:
        block = rows.read(2, 9)
    assert block.dtype.isnative
    np.testing.assert_array_equal(block, X[2:9])


def test_bfloat16_of_torch_is_widened_exactly(tmp_path):
    torch = pytest.importorskip("torch")
    tensor = torch.randn(11, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    torch.save({"emb": tensor}, tmp_path / "a.pt")
    with open_rows(tmp_path / "a.pt") as rows:
        assert rows.dtype == np.float32
        assert rows.array() is None
        np.testing.assert_array_equal(rows.read(3, 9), tensor[3:9].float().numpy())


def test_bfloat16_safetensors_are_widened_as_they_are_read(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    tensor = torch.randn(11, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    save_file({"emb": tensor}, tmp_path / "a.safetensors")
    with open_rows(tmp_path / "a.safetensors") as rows:
        np.testing.assert_array_equal(rows.read(3, 9), tensor[3:9].float().numpy())


def test_a_saved_dataset_of_the_library_itself(tmp_path):
    datasets = pytest.importorskip("datasets.arrow_dataset")  # not a folder of that name
    X = np.random.default_rng(0).standard_normal((9, 4)).astype(np.float32)
    content = {"id": [f"s{i}" for i in range(9)], "emb": list(X)}
    datasets.Dataset.from_dict(content).save_to_disk(str(tmp_path / "a"), num_shards=2)
    with open_rows(tmp_path / "a") as rows:
        assert rows.ids == tuple(content["id"])
        np.testing.assert_array_equal(rows.read(0, 9), X)


def test_an_annotated_matrix_of_the_library_itself(tmp_path):
    anndata = pytest.importorskip("anndata")
    X = np.random.default_rng(0).standard_normal((9, 4)).astype(np.float32)
    cells = anndata.AnnData(X, obsm={"X_pca": X[:, ::-1].copy()})
    cells.write_h5ad(tmp_path / "a.h5ad")
    with open_rows(tmp_path / "a.h5ad") as rows:
        assert rows.ids == tuple(map(str, range(9)))
        np.testing.assert_array_equal(rows.read(0, 9), X)
    np.testing.assert_array_equal(read_array(f"{tmp_path / 'a.h5ad'}::obsm/X_pca"), X[:, ::-1])


CSV = [
    ("a,b\n1,2\n3,4.5\n", None),  # header
    ("1,2\n3,4.5\n", None),
    ("1,2\r\n3,4.5\r\n", None),
    ('"a","b"\n1,2\n3,4.5', None),
    (",a,b\n0,1,2\n1,3,4.5\n", ("0", "1")),  # the index that pandas writes
    ("sample_id,a,b\n7,1,2\n9,3,4.5\n", ("7", "9")),
    ("cat,1,2\ndog,3,4.5\n", ("cat", "dog")),
    ("name,a,b\ncat,1,2\ndog,3,4.5\n", ("cat", "dog")),
    ('name,a,b\n"cat, old",1,2\ndog,3,4.5\n', ("cat, old", "dog")),
    ("\ufeffa,b\n1,2\n3,4.5\n", None),
]


@pytest.mark.parametrize(("text", "ids"), CSV)
def test_lines_of_numbers(tmp_path, text, ids):
    pytest.importorskip("pyarrow")
    (tmp_path / "a.csv").write_bytes(text.encode())
    with open_rows(tmp_path / "a.csv") as rows:
        assert rows.ids == ids
        np.testing.assert_array_equal(rows.read(0, 2), [[1, 2], [3, 4.5]])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2\n3\n", "a.csv"),
        ("1,2\n3,x\n", "a.csv"),
        ("1,2\n3,\n", "missing"),
        ("1,2\n3,4,5\n", "a.csv"),
        ("\n", "empty"),
        ("a,a\n1,2\n", "different names"),
        ("one,two\n", "empty|must have"),
    ],
)
def test_lines_that_are_no_matrix(tmp_path, text, said):
    pytest.importorskip("pyarrow")
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=said):
        read_array(tmp_path / "a.csv")


def test_a_name_that_is_not_there_is_answered_with_those_that_are(tmp_path, X):
    np.savez(tmp_path / "a.npz", clip=X, dino=X)
    with pytest.raises(ValueError, match=r"a\.npz has no array 'clap'; it has clip, dino"):
        open_rows(f"{tmp_path / 'a.npz'}::clap")
    with pytest.raises(ValueError, match=r"got 2 \(clip, dino\); name the one you mean: a.npz::"):
        open_rows(tmp_path / "a.npz")


def test_columns_of_whole_numbers_are_not_left_out_in_silence(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"x": [0.5, 1.5], "y": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"other numbers \(y\)"):
        open_rows(tmp_path / "a.parquet")


def test_an_old_library_is_refused_with_the_version_that_is_safe(tmp_path, X, monkeypatch):
    torch = pytest.importorskip("torch")
    torch.save(torch.zeros(3, 2), tmp_path / "a.pt")
    monkeypatch.setattr(torch, "__version__", "2.9.1")
    with pytest.raises(ImportError, match=r"torch 2\.9\.1 is too old .* 'torch>=2\.10'"):
        open_rows(tmp_path / "a.pt")


def test_a_missing_library_is_named_with_what_installs_it(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r"read by pyarrow: pip install 'consilience\[formats\]'"):
        open_rows(tmp_path / "a.parquet")


def test_what_does_not_fit_into_memory_is_refused_with_a_remedy(tmp_path, X, monkeypatch):
    from consilience.store.readers import rows

    np.savez_compressed(tmp_path / "a.npz", X)
    monkeypatch.setattr(rows, "_free_memory", lambda: 100)
    with pytest.raises(MemoryError, match=r"a\.npz takes .* consilience store convert"):
        read_array(tmp_path / "a.npz")


def test_a_file_known_by_its_first_bytes(tmp_path, X):
    np.save(tmp_path / "a.npy", X)
    (tmp_path / "a.npy").rename(tmp_path / "embedding")
    np.testing.assert_array_equal(read_array(tmp_path / "embedding"), X)


def test_a_path_with_the_mark_in_it_is_a_path(tmp_path, X):
    np.save(tmp_path / "a::b.npy", X)
    np.testing.assert_array_equal(read_array(tmp_path / "a::b.npy"), X)
    assert label_of(tmp_path / "a::b.npy") == "a::b"
