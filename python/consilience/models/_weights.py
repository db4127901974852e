"""Weights that the user brings: found without a network, read without running what is in them."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path
from typing import Any

TRUST_PICKLE = "CONSILIENCE_TRUST_PICKLE"
SAFE_TORCH = "2.10"  # ways around `weights_only` were closed in 2.6 and 2.10
TRUST_REMOTE_CODE = "CONSILIENCE_TRUST_REMOTE_CODE"


def check_version(package: str, start: str, install: str) -> None:
    """Refuse another package, or another generation of it, behind the same import.

    Raises
    ------
    ModuleNotFoundError
        If the version of `package` does not begin with `start`.
    """
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        version = "none"
    if not version.startswith(start):
        raise ModuleNotFoundError(f"needs {package} {start}x, found {version}: {install}")


def weights_file(checkpoint: str, hint: str) -> Path:
    """Return the path of a file of weights; `hint` says where such files come from.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    path = Path(checkpoint).expanduser()
    if path.is_file():
        return path
    what = "a folder" if path.is_dir() else "no file"
    raise FileNotFoundError(f"{checkpoint!r} is {what}, expected a file of weights: {hint}")


def check_trusted_pickle(path: Path) -> None:
    """Refuse a file whose reading can run code, unless the user has said to trust it.

    Raises
    ------
    PermissionError
        If ``CONSILIENCE_TRUST_PICKLE`` is not 1.
    """
    if os.environ.get(TRUST_PICKLE) != "1":
        raise PermissionError(
            f"{path.name} is a pickle, and reading one can run any code; "
            f"if you trust where it came from, set {TRUST_PICKLE}=1"
        )


def trusted_pickle(path: Path) -> Any:
    """Unpickle a file of whole objects, which only its author can vouch for.

    Raises
    ------
    PermissionError
        If ``CONSILIENCE_TRUST_PICKLE`` is not 1.
    """
    import torch

    check_trusted_pickle(path)
    return torch.load(path, map_location="cpu", weights_only=False)


def plain_weights(path: Path, allow: tuple[Any, ...] = ()) -> Any:
    """Read tensors, numbers, strings and the classes allowed, and nothing else.

    Raises
    ------
    PermissionError
        If a library forces torch to unpickle whatever a file holds.
    pickle.UnpicklingError
        If the file holds anything else.
    """
    import torch
    from torch.torch_version import TorchVersion

    if TorchVersion(torch.__version__) < SAFE_TORCH:
        raise PermissionError(
            f"torch {torch.__version__} can be made to run code by a file of weights; "
            f"{SAFE_TORCH} or newer is needed"
        )
    if os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD") in ("1", "y", "yes", "true"):
        raise PermissionError(
            "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is set, which makes torch unpickle anything; unset it"
        )
    with torch.serialization.safe_globals(list(allow)):
        return torch.load(path, map_location="cpu", weights_only=True)


def from_hub(auto_class: str, checkpoint: str, **options: Any) -> Any:
    """Load a transformers class from a folder, or from the library's own cache.

    Weights are read from safetensors, else as plain tensors; code that comes with them runs
    only if ``CONSILIENCE_TRUST_REMOTE_CODE`` is 1.

    Raises
    ------
    FileNotFoundError
        If the weights are not on this machine.
    PermissionError
        If the model is code of its own and the user has not said to trust it.
    """
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    place = str(Path(checkpoint).expanduser())
    trust = os.environ.get(TRUST_REMOTE_CODE) == "1"
    options = {"local_files_only": True, "trust_remote_code": trust, **options}
    try:
        return getattr(transformers, auto_class).from_pretrained(place, **options)
    except OSError as error:
        if Path(place).exists():
            raise
        raise FileNotFoundError(
            f"no weights {checkpoint!r} on this machine; give the path of a folder with a "
            f"config.json, or fetch them once with `hf download {checkpoint}`"
        ) from error
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        raise PermissionError(
            f"{checkpoint!r} brings code of its own; if you trust it, set {TRUST_REMOTE_CODE}=1"
        ) from error
