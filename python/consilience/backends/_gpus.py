"""Which NVIDIA GPUs this process may use, as their driver tells; no library is imported for it."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# CUdevice_attribute of cuda.h
CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76
NO_DEVICE = 100
NOTHING = "the NVIDIA driver finds no GPU (is CUDA_VISIBLE_DEVICES empty?)"
DRIVER_VERSION = Path("/sys/module/nvidia/version")


class DriverError(RuntimeError):
    """Why there is no GPU to be used."""


@dataclass(frozen=True)
class Gpu:
    """A GPU, or a part of one, that this process sees.

    compute_capability : for example "9.0";  memory : bytes;
    cuda : the highest version of CUDA that the driver runs;  driver : its version, if known
    """

    number: int
    name: str
    memory: int
    compute_capability: str
    cuda: str
    driver: str | None

    def __str__(self) -> str:
        driver = f"driver {self.driver}, " if self.driver else ""
        return (
            f"{self.name}, {self.memory / 2**30:.1f} GiB, compute capability "
            f"{self.compute_capability}, {driver}CUDA up to {self.cuda}"
        )


def gpus() -> list[Gpu]:
    """Return the GPUs, of which there is at least one.

    Raises
    ------
    DriverError
        If there is none, with the reason.
    """
    driver = _driver()
    status = driver.cuInit(0)
    if status == NO_DEVICE:
        raise DriverError(NOTHING)
    if status:
        raise DriverError(f"the NVIDIA driver does not start (error {status})")
    version = _number(driver.cuDriverGetVersion)
    cuda = f"{version // 1000}.{version % 1000 // 10}"
    count = _number(driver.cuDeviceGetCount)
    if count == 0:
        raise DriverError(NOTHING)
    return [_gpu(driver, number, cuda) for number in range(count)]


def gpu_problem() -> str | None:
    """Return why no GPU can be used here, or None."""
    try:
        gpus()
    except DriverError as error:
        return str(error)
    return None


def _driver() -> Any:
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        raise DriverError("no NVIDIA driver is installed") from error


def _gpu(driver: Any, number: int, cuda: str) -> Gpu:
    device = _number(driver.cuDeviceGet, number)
    name = ctypes.create_string_buffer(256)
    _check(driver.cuDeviceGetName(name, len(name), device))
    memory = ctypes.c_size_t()
    _check(driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device))
    major, minor = (
        _number(driver.cuDeviceGetAttribute, attribute, device)
        for attribute in (CAPABILITY_MAJOR, CAPABILITY_MINOR)
    )
    return Gpu(number, name.value.decode(), memory.value, f"{major}.{minor}", cuda, _version())


def _number(call: Callable[..., int], *arguments: int) -> int:
    found = ctypes.c_int()
    _check(call(ctypes.byref(found), *arguments))
    return found.value


def _check(status: int) -> None:
    if status:
        raise DriverError(f"the NVIDIA driver answers with error {status}")


def _version() -> str | None:
    try:
        return DRIVER_VERSION.read_text(encoding="ascii").strip()
    except OSError:
        return None
