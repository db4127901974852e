"""UMA and eSEN. References: Wood et al., arXiv:2506.23971; Fu et al., arXiv:2502.12147."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from consilience.datasets import Atoms
from consilience.models._atomistic import lowest_multiplicity, to_ase
from consilience.models._hooks import Tap, Taps, split_rows, to_numpy
from consilience.models._network import States
from consilience.models._registry import model
from consilience.models._weights import check_trusted_pickle, check_version, weights_file

ALL_DATA = "OMat24 + OMol25 + OC20 + ODAC25 + OMC25"
MOLECULES = "omol"
# What UMA is asked for, since it was trained on several levels of theory at once.
TASKS = {
    "omat": ("materials", "PBE(+U)"),
    "omol": ("molecules", "wB97M-V"),
    "oc20": ("adsorbates on catalysts", "RPBE"),
    "odac": ("adsorbates in metal-organic frameworks", "PBE+D3"),
    "omc": ("molecular crystals", "PBE+D3"),
}
COMMON: dict[str, Any] = {
    "modality": "3D",
    "embedding": "invariant",
    "representation": "atoms",
    "license": "FAIR Chemistry License",
    "package": "fairchem-core==2.24.0",
    "requires": ("torch", "fairchem", "ase"),
    "install": "pip install fairchem-core==2.24.0",
    "checkpoint": "",
    "takes_weights": True,
}
PICKLE = "; such a file is a pickle, so CONSILIENCE_TRUST_PICKLE=1 must be set"


def load_for(task: str) -> Callable[..., ESCN]:
    """Return the loader for a task; "" is the only one of the weights."""

    def load(*, checkpoint: str, device: str) -> ESCN:
        """Load a checkpoint of fairchem-core 2 from a file or the library's own cache.

        Raises
        ------
        FileNotFoundError
            If there is none.
        PermissionError
            If the user has not said to trust pickles.
        """
        check_version("fairchem-core", "2.", COMMON["install"])
        from fairchem.core.units.mlip_unit import load_predict_unit

        if device not in ("cpu", "cuda"):
            raise ValueError(f"fairchem-core runs on 'cpu' or 'cuda', got {device!r}")
        path = _find(checkpoint)
        check_trusted_pickle(path)
        unit = load_predict_unit(path, inference_settings="batch", device=device)
        return ESCN(unit, task)

    return load


for _task, (_what, _theory) in TASKS.items():
    model(
        name=f"uma-{_task}",
        summary=f"one potential for all of matter, asked for {_what}",
        family="UMA",
        architecture="equivariant GNN, mixture of linear experts",
        training_data=ALL_DATA,
        theory=_theory,
        weights=f"a .pt file, or the name of one in the library's cache like uma-s-1p1{PICKLE}",
        seconds_per_1k=400.0,
        **COMMON,
    )(load_for(_task))

model(
    name="esen-omol",
    summary="smooth equivariant potential for molecules",
    family="eSEN",
    architecture="equivariant GNN",
    training_data="OMol25",
    theory="wB97M-V",
    weights="a .pt file, or the name of one in the library's cache like "
    f"esen-sm-conserving-all-omol{PICKLE}",
    seconds_per_1k=400.0,
    **COMMON,
)(load_for(""))


def _find(checkpoint: str) -> Path:
    """Return a file that the user names, or one that the library has fetched before."""
    from fairchem.core._config import CACHE_DIR
    from fairchem.core.calculate import pretrained_mlip

    if checkpoint not in pretrained_mlip.available_models:
        return weights_file(checkpoint, "facebook/UMA and facebook/OMol25 publish them")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    known = pretrained_mlip._MODEL_CKPTS.checkpoints[checkpoint]
    try:
        found = hf_hub_download(
            filename=known.filename,
            repo_id=known.repo_id,
            subfolder=known.subfolder,
            cache_dir=CACHE_DIR,
            local_files_only=True,
        )
    except LocalEntryNotFoundError as error:
        raise FileNotFoundError(
            f"fairchem-core has no {checkpoint!r} in {CACHE_DIR}; fetch it once with "
            f"`hf download {known.repo_id}`, or give the path of a .pt file"
        ) from error
    return Path(found)


class ESCN:
    """Scalars (l = 0) of every atom behind each block; the last layer is their final norm."""

    def __init__(self, unit: Any, task: str) -> None:
        self._unit = unit
        self._task = _task_of(unit, task)
        backbone = unit.model.module.backbone
        self._taps = Taps(
            backbone,
            {
                "embedding": "sphere_embedding",
                **{
                    f"layer-{number}": Tap(f"blocks.{number - 1}", pick=_scalars)
                    for number in range(1, len(backbone.blocks) + 1)
                },
                "norm": Tap("norm", pick=_scalars),
            },
        )
        self.layers = self._taps.layers

    def run(self, values: Sequence[Atoms], layers: Sequence[str]) -> States:
        from fairchem.core.datasets.atomic_data import atomicdata_list_to_batch

        batch = atomicdata_list_to_batch([self._graph(atoms) for atoms in values])
        with self._taps.read(layers) as found:
            energy = self._unit.predict(batch)["energy"]
        counts = [len(atoms) for atoms in values]
        return States(
            {layer: split_rows(found[layer], counts) for layer in layers},
            {"energy_ev": to_numpy(energy).reshape(-1).astype(np.float64)},
        )

    def _graph(self, atoms: Atoms) -> Any:
        from fairchem.core.datasets.atomic_data import AtomicData

        # Only the weights for molecules know the charge and the spin.
        is_molecule = self._task == MOLECULES
        plain = to_ase(
            atoms,
            charge=atoms.charge if is_molecule else 0,
            spin=lowest_multiplicity(atoms) if is_molecule else 0,
        )
        self._unit.validate_atoms_data(plain, self._task)
        return AtomicData.from_ase(plain, task_name=self._task, r_data_keys=["charge", "spin"])


def _scalars(features: Any) -> Any:
    return features[:, 0, :]


def _task_of(unit: Any, task: str) -> str:
    known = list(unit.dataset_to_tasks)
    if not task and len(known) == 1:
        return str(known[0])
    if task not in known:
        raise ValueError(
            f"these weights answer for {', '.join(known)}, asked for {task or 'the only one'}"
        )
    return task
