"""What `consilience doctor` says of machines with a GPU and without."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from consilience.backends import _gpus, _placement
from consilience.cli import main
from consilience.doctor import examine


class Driver:
    """The functions of libcuda that are asked, for one GPU or none."""

    def __init__(self, count=1, status=0):
        self.count, self.status = count, status

    def cuInit(self, flags):
        return self.status

    def cuDriverGetVersion(self, out):
        out._obj.value = 13020
        return 0

    def cuDeviceGetCount(self, out):
        out._obj.value = self.count
        return 0

    def cuDeviceGet(self, out, number):
        out._obj.value = 40 + number
        return 0 if number < self.count else 101

    def cuDeviceGetName(self, name, length, device):
        name.value = f"Imagined {device}".encode()[: length - 1]
        return 0

    def cuDeviceTotalMem_v2(self, out, device):
        out._obj.value = 80 << 30
        return 0

    def cuDeviceGetAttribute(self, out, attribute, device):
        out._obj.value = {75: 9, 76: 0}[attribute]
        return 0


@pytest.fixture
def doctor():
    def call(*arguments):
        result = CliRunner().invoke(main, ["doctor", *arguments])
        assert result.exit_code == 0, result.output
        return result.output

    return call


@pytest.fixture
def with_gpus(monkeypatch, tmp_path):
    """Two GPUs, and everything that could use them."""
    monkeypatch.setattr(_gpus, "_driver", lambda: Driver(2))
    version = tmp_path / "version"
    version.write_text("570.86.10\n")
    monkeypatch.setattr(_gpus, "DRIVER_VERSION", version)
    for module in ("_native", "_cupy"):
        monkeypatch.setattr(f"consilience.backends.cuda.{module}.missing", lambda: None)
    for name in ("torch_missing", "jax_missing"):
        monkeypatch.setattr(_placement, name, lambda: None)


@pytest.fixture
def without_gpus(monkeypatch):
    """No driver, and nothing that is built for it."""

    def nothing():
        raise _gpus.DriverError("no NVIDIA driver is installed")

    monkeypatch.setattr(_gpus, "_driver", nothing)
    monkeypatch.setattr("consilience.backends.cuda._native.missing", lambda: "built without nvcc")
    monkeypatch.setattr("consilience.backends.cuda._cupy.missing", lambda: "CuPy is not installed")
    monkeypatch.setattr(_placement, "torch_missing", lambda: "torch finds no GPU")
    monkeypatch.setattr(_placement, "jax_missing", lambda: "JAX is not installed")


def test_a_machine_with_gpus(doctor, with_gpus):
    text = doctor()
    assert (
        "gpu           1: Imagined 41, 80.0 GiB, compute capability 9.0, driver 570.86.10, "
        "CUDA up to 13.2\n" in text
    )
    for name in ("native", "cuda", "cupy", "array"):
        assert f"backend       {name}: ready (" in text
    for name in ("torch", "jax"):
        assert f"gpu arrays    {name}: ready (" in text
    assert "needs" not in text.partition("numpy ")[0]


def test_a_machine_without_gpus_hears_why_and_what_would_help(doctor, without_gpus):
    text = doctor()
    assert "gpu           none: no NVIDIA driver is installed\n" in text
    assert "backend       native: ready" in text
    assert "backend       cuda: built without nvcc" in text
    assert "CONSILIENCE_CUDA=ON" in text
    assert "backend       cupy: CuPy is not installed" in text
    assert "pip install 'consilience[cuda]'" in text
    assert text.count("needs an NVIDIA GPU with its driver, and") == 4
    assert "gpu arrays    torch: torch finds no GPU" in text


def test_a_gpu_that_is_there_is_not_asked_for(doctor, without_gpus, monkeypatch):
    monkeypatch.setattr(_gpus, "_driver", Driver)
    text = doctor()
    assert "gpu           0: Imagined 40" in text
    assert "needs an NVIDIA GPU" not in text
    assert "needs CuPy, and no nvcc" in text


def test_as_json(doctor, with_gpus):
    found = json.loads(doctor("--json"))
    assert [gpu["name"] for gpu in found["gpus"]] == ["Imagined 40", "Imagined 41"]
    assert found["gpus"][0]["memory"] == 80 << 30
    assert found["no_gpu"] is None
    assert all(part["ready"] and part["missing"] is None for part in found["parts"].values())
    assert found["models"]["random"] is None
    assert {"numpy", "cupy", "jax"} <= found["packages"].keys()


def test_as_json_without_gpus(doctor, without_gpus):
    found = json.loads(doctor("--json"))
    assert found["gpus"] == []
    assert found["no_gpu"]
    ready = {name for name, part in found["parts"].items() if part["ready"]}
    assert ready == {"native", "array"}
    for name in found["parts"].keys() - ready:
        assert found["parts"][name]["missing"]
        assert found["parts"][name]["remedy"]


@pytest.mark.parametrize(
    ("driver", "reason"),
    [
        (Driver(status=100), "finds no GPU"),
        (Driver(count=0), "finds no GPU"),
        (Driver(status=803), r"does not start \(error 803\)"),
    ],
)
def test_a_driver_that_has_no_gpu_says_why(driver, reason, monkeypatch):
    monkeypatch.setattr(_gpus, "_driver", lambda: driver)
    with pytest.raises(_gpus.DriverError, match=reason):
        _gpus.gpus()
    assert examine()["gpus"] == []


def test_a_driver_that_is_not_installed(monkeypatch):
    def absent(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(_gpus.ctypes, "CDLL", absent)
    assert _gpus.gpu_problem() == "no NVIDIA driver is installed"


def test_a_part_that_breaks_is_a_finding(doctor, without_gpus, monkeypatch):
    def broken():
        raise OSError("libsomething.so:\n undefined symbol")

    monkeypatch.setattr(_placement, "torch_missing", broken)
    monkeypatch.setattr("consilience.backends.cuda._native.missing", broken)
    text = doctor()
    assert "gpu arrays    torch: libsomething.so: undefined symbol" in text
    assert "backend       cuda: libsomething.so: undefined symbol" in text


def test_none_of_the_libraries_is_needed():
    code = """
import sys
for name in ("torch", "cupy", "jax", "rdkit", "plotly"):
    sys.modules[name] = None
from consilience.doctor import examine, lines
print(*lines(examine()), sep="\\n")
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "gpu arrays    torch: torch is not installed" in result.stdout
    assert "backend       native: ready" in result.stdout
