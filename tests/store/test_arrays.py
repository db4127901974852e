"""Array files open by memory map; whatever could run code or is broken is refused."""

import json
import pickle

import numpy as np
import pytest
import safetensors.numpy

from consilience.store import read_array


@pytest.fixture
def rows():
    return np.random.default_rng(0).standard_normal((11, 3))


def save(file, array):
    if file.suffix == ".npy":
        np.save(file, array)
    else:
        safetensors.numpy.save_file({"x": array}, file)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy(tmp_path, rows, dtype, order):
    rows = np.asarray(rows, dtype=dtype, order=order)
    np.save(tmp_path / "a.npy", rows)
    array = read_array(tmp_path / "a.npy")
    assert isinstance(array, np.memmap)
    assert not array.flags.writeable
    np.testing.assert_array_equal(array, rows)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_safetensors(tmp_path, rows, dtype):
    rows = rows.astype(dtype)
    safetensors.numpy.save_file({"x": rows}, tmp_path / "a.safetensors")
    array = read_array(tmp_path / "a.safetensors")
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, rows)


def test_bfloat16_is_widened_exactly(tmp_path, rows):
    bits = (rows.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    raw = bits.tobytes()
    entry = {"dtype": "BF16", "shape": list(rows.shape), "data_offsets": [0, len(raw)]}
    header = json.dumps({"x": entry}).encode()
    content = len(header).to_bytes(8, "little") + header + raw
    (tmp_path / "a.safetensors").write_bytes(content)
    array = read_array(tmp_path / "a.safetensors")
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array.view(np.uint32) >> 16, bits)


class Bomb:
    """Says so if it is ever unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


@pytest.mark.parametrize("make", ["object array", "bare pickle"])
def test_pickles_are_never_loaded(tmp_path, make):
    file = tmp_path / "a.npy"
    if make == "object array":
        np.save(file, np.array([[Bomb()]], dtype=object), allow_pickle=True)
    else:
        file.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match=r"a\.npy .*np\.save"):
        read_array(file)


@pytest.mark.parametrize("keep", [0, 5, 60, 130, -1])
@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_a_truncated_file_is_named(tmp_path, rows, keep, suffix):
    file = tmp_path / f"a{suffix}"
    save(file, rows)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"a\.\w+ .*(short|truncated|not a|unreadable)"):
        read_array(file)


@pytest.mark.parametrize("header", [b"{}", b"[]", b"not json", b'{"x": {"dtype": "F32"}}'])
def test_a_broken_safetensors_header_is_refused(tmp_path, header):
    file = tmp_path / "a.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + b"0" * 64)
    with pytest.raises(ValueError, match=r"a\.safetensors (must hold|has a broken)"):
        read_array(file)


def test_a_safetensors_shape_that_lies_is_refused(tmp_path):
    entry = {"dtype": "F32", "shape": [1000, 1000], "data_offsets": [0, 16]}
    header = json.dumps({"x": entry}).encode()
    file = tmp_path / "a.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + b"0" * 16)
    with pytest.raises(ValueError, match="has 16 bytes"):
        read_array(file)


def test_two_tensors_in_one_file_are_refused(tmp_path, rows):
    safetensors.numpy.save_file({"x": rows, "y": rows}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"exactly one tensor, got 2 \(x, y\)"):
        read_array(tmp_path / "a.safetensors")


@pytest.mark.parametrize("shape", [(6,), (2, 3, 1), ()])
@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_only_matrices(tmp_path, shape, suffix):
    file, array = tmp_path / f"a{suffix}", np.zeros(shape, np.float32)
    save(file, array)
    with pytest.raises(ValueError, match=r"\(n_samples, n_features\)"):
        read_array(file)


@pytest.mark.parametrize("dtype", ["int64", "complex64", "bool", "U3"])
def test_only_floating_point(tmp_path, dtype):
    np.save(tmp_path / "a.npy", np.zeros((4, 3)).astype(dtype))
    with pytest.raises(ValueError, match="astype"):
        read_array(tmp_path / "a.npy")


def test_integer_safetensors_are_refused(tmp_path):
    safetensors.numpy.save_file({"x": np.zeros((4, 3), np.int32)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="got I32"):
        read_array(tmp_path / "a.safetensors")


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_empty_arrays_are_refused(tmp_path, suffix):
    file, array = tmp_path / f"a{suffix}", np.zeros((0, 3), np.float32)
    save(file, array)
    with pytest.raises(ValueError, match=r"a\.\w+ is empty"):
        read_array(file)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match=r"a\.pkl must be one of \.npy, \.npz"):
        read_array(tmp_path / "a.pkl")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_array(tmp_path / "b.npy")
