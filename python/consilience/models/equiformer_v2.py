"""EquiformerV2, and eSEN as it was first released: checkpoints of fairchem-core 1.

References: Liao et al., arXiv:2306.12059; Barroso-Luque et al., arXiv:2410.12771; Fu et al.,
arXiv:2502.12147.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from consilience.datasets import Atoms
from consilience.models._atomistic import to_ase
from consilience.models._hooks import Tap, Taps, split_rows, to_numpy
from consilience.models._inert import read_inert
from consilience.models._network import States
from consilience.models._registry import model
from consilience.models._scatter import stand_in_for_torch_scatter
from consilience.models._weights import check_version, weights_file

INSTALL = (
    "pip install torch e3nn torch_geometric hydra-core lmdb numba orjson pymatgen submitit "
    "huggingface_hub pydantic tensorboard ase && pip install --no-deps fairchem-core==1.10.0"
)
PUBLISHED = "facebook/OMAT24 publishes them"
SEED = 0  # each edge is turned into a frame of its own, whose last angle is drawn at random
# Importing these registers the classes in them.
REGISTERING = (
    "base",
    "equiformer_v2.equiformer_v2",
    "equiformer_v2.equiformer_v2_dens",
    "esen.esen",
    "esen.esen_dens",
)
KINDS = ("model", "module", "name")
MPTRJ = {"training_data": "MPtrj", "training_size": 1_580_395}
OMAT = {"training_data": "OMat24", "training_size": 100_824_585}
OAM = {"training_data": "OMat24 + sAlex + MPtrj", "training_size": 112_852_745}
EQUIFORMER = {"family": "EquiformerV2", "architecture": "equivariant transformer"}
ESEN = {"family": "eSEN", "architecture": "equivariant GNN"}
COMMON: dict[str, Any] = {
    "modality": "3D",
    "embedding": "invariant",
    "representation": "atoms",
    "theory": "PBE(+U)",
    "license": "FAIR Chemistry License",
    "weights": "a .pt file from facebook/OMAT24",
    "package": "fairchem-core==1.10.0",
    "requires": ("torch", "torch_geometric", "e3nn", "fairchem", "ase"),
    "install": INSTALL,
    "seconds_per_1k": 1000.0,
    "checkpoint": "",
    "takes_weights": True,
}


@model(name="esen-oam", summary="smooth potential, eSEN-30M-OAM", **ESEN, **OAM, **COMMON)
@model(name="esen-mptrj", summary="smooth potential, eSEN-30M-MP", **ESEN, **MPTRJ, **COMMON)
@model(
    name="equiformer-v2-oam",
    summary="potential with attention, trained on OMat24, then on sAlex and MPtrj",
    **EQUIFORMER,
    **OAM,
    **COMMON,
)
@model(
    name="equiformer-v2-omat",
    summary="potential with attention, trained on OMat24",
    **EQUIFORMER,
    **OMAT,
    **COMMON,
)
@model(
    name="equiformer-v2-mptrj",
    summary="potential with attention, trained on MPtrj and on denoising it",
    **EQUIFORMER,
    **MPTRJ,
    **COMMON,
)
def load(*, checkpoint: str, device: str) -> FairChem1:
    """Build what the configuration in the checkpoint says and fill it with plain tensors.

    Only classes that the library itself registers as models are built, and nothing that is
    pickled in the file runs.
    """
    check_version("fairchem-core", "1.", INSTALL)
    stand_in_for_torch_scatter()
    saved = read_inert(weights_file(checkpoint, PUBLISHED), mappings=("collections.OrderedDict",))
    network = _build(saved["config"])
    network.load_state_dict(_matching(saved["state_dict"], network.state_dict()))
    return FairChem1(network.to(device), saved, device)


def _build(config: Mapping[str, Any]) -> Any:
    from fairchem.core.common.registry import registry

    for name in REGISTERING:
        importlib.import_module(f"fairchem.core.models.{name}")
    description = dict(config["model"])
    if "model_attributes" in config:
        description = {"name": config["model"], **config["model_attributes"]}
    _check_kinds(description, set(registry.mapping["model_name_mapping"]))
    name = description.pop("name")
    if name != "hydra":
        raise ValueError(f"the checkpoint is of the older kind {name!r}, expected 'hydra'")
    # Samples come without edges: the network looks for them itself.
    description["backbone"] = {**description["backbone"], "otf_graph": True}
    return registry.get_model_class(name)(**{**description, "otf_graph": True}).eval()


def _check_kinds(description: Mapping[str, Any], known: set[str]) -> None:
    """Refuse to build anything but models: the library would import any class by its path."""
    if description.get("finetune_config"):
        raise ValueError("the checkpoint builds on another one; give one that stands alone")
    for key, value in description.items():
        if key in KINDS and value not in known:
            raise ValueError(
                f"the checkpoint asks for a {value!r}, which is no model of fairchem-core 1"
            )
        if isinstance(value, Mapping):
            _check_kinds(value, known)


def _matching(state: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Take off what training on several machines puts in front of every name."""
    found = dict(state)
    while found and not set(found) & set(wanted) and all(k.startswith("module.") for k in found):
        found = {key.removeprefix("module."): value for key, value in found.items()}
    return found


class FairChem1:
    """Scalars (l = 0) of every atom behind each block; the last layer is their final norm.

    Molecules are put into a box wide enough that they do not see their images.
    """

    def __init__(self, network: Any, saved: Mapping[str, Any], device: str) -> None:
        self._network = network
        self._device = device
        self._scale = _scale(saved, device)
        backbone = network.backbone
        self._needs_grad = not getattr(backbone, "direct_forces", True)
        paths = {f"layer-{i + 1}": f"blocks.{i}" for i in range(len(backbone.blocks))}
        self._taps = Taps(
            backbone,
            {layer: Tap(path, pick=_scalars) for layer, path in {**paths, "norm": "norm"}.items()},
        )
        self.layers = self._taps.layers

    def run(self, values: Sequence[Atoms], layers: Sequence[str]) -> States:
        import torch
        from fairchem.core.datasets import data_list_collater

        graphs = [self._graph(atoms) for atoms in values]
        batch = data_list_collater(graphs, otf_graph=True).to(self._device)
        devices = [self._device] if self._device != "cpu" else []
        with (
            torch.random.fork_rng(devices=devices),
            torch.set_grad_enabled(self._needs_grad),
            self._taps.read(layers) as found,
        ):
            torch.manual_seed(SEED)
            energy = self._scale(_energy(self._network(batch)).reshape(-1, 1), batch)
        counts = [len(atoms) for atoms in values]
        return States(
            {layer: split_rows(found[layer], counts) for layer in layers},
            {"energy_ev": to_numpy(energy).reshape(-1).astype(np.float64)},
        )

    def _graph(self, atoms: Atoms) -> Any:
        from fairchem.core.preprocessing import AtomsToGraphs

        plain = to_ase(atoms)
        if not any(atoms.pbc):
            cutoff = float(self._network.backbone.cutoff)
            plain.set_cell(np.diag(np.ptp(atoms.positions, axis=0) + cutoff + 1.0))
            plain.set_pbc(True)
        convert = AtomsToGraphs(r_energy=False, r_forces=False, r_pbc=True, r_edges=False)
        return convert.convert(plain)


def _scalars(found: Any) -> Any:
    features = getattr(found, "embedding", found)
    return features[:, 0, :]


def _energy(out: Mapping[str, Any]) -> Any:
    """Find the energy among the outputs of all heads."""
    for value in (out.get("energy"), *out.values()):
        if isinstance(value, Mapping):
            value = value.get("energy")
        elif value is not out.get("energy"):
            continue
        if value is not None:
            return value
    raise ValueError(f"these weights predict {', '.join(out)}, not an energy")


def _scale(saved: Mapping[str, Any], device: str) -> Any:
    """Return what makes eV of a predicted energy: its scale and the elements' references."""
    from fairchem.core.modules.normalization.element_references import create_element_references
    from fairchem.core.modules.normalization.normalizer import create_normalizer

    scales = saved.get("normalizers") or {}
    scale = scales.get("energy", scales.get("target"))
    normalizer = create_normalizer(state_dict=scale).to(device) if scale else None
    reference = (saved.get("elementrefs") or {}).get("energy")
    references = create_element_references(state_dict=reference).to(device) if reference else None

    def to_ev(energy: Any, batch: Any) -> Any:
        energy = energy.detach()
        energy = energy if normalizer is None else normalizer(energy)
        return energy if references is None else references(energy, batch)

    return to_ev
