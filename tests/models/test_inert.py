"""Tensors come out of a checkpoint, and nothing that is pickled beside them is run."""

import collections
import pickle

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from consilience.models._inert import read_inert  # noqa: E402


class Opens:
    """A pickle of it writes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


class Settings(collections.UserDict):
    pass


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    trap = tmp_path / "trap"
    torch.save({"weights": torch.arange(3.0), "trap": Opens(trap)}, tmp_path / "a.pt")
    found = read_inert(tmp_path / "a.pt")
    assert found["weights"].tolist() == [0.0, 1.0, 2.0]
    assert not trap.exists()
    torch.load(tmp_path / "a.pt", weights_only=False)["trap"].close()
    assert trap.exists()


def test_without_stand_ins_such_a_checkpoint_is_refused(tmp_path):
    torch.save({"trap": Opens(tmp_path / "trap")}, tmp_path / "a.pt")
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "a.pt", weights_only=True)


def test_other_objects_become_inert(tmp_path):
    torch.save({"n": 3, "settings": Settings(a=1), "class": Settings}, tmp_path / "a.pt")
    found = read_inert(tmp_path / "a.pt")
    assert found["n"] == 3
    assert type(found["settings"]).__name__ == "Inert"
