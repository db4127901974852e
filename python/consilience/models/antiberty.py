"""AntiBERTy. Reference: Ruffolo, Gray, Sulam 2021, arXiv:2112.07782."""

from __future__ import annotations

from collections.abc import Sequence

from consilience.models._network import Network
from consilience.models._registry import model, package_folder
from consilience.models._text_encoder import TextEncoder, load_encoder


@model(
    name="antiberty",
    summary="BERT of antibodies alone: on other proteins a control",
    family="AntiBERTy",
    architecture="transformer encoder",
    modality="sequence",
    embedding="vanilla",
    representation="sequence",
    width=512,
    parameters=25_496_064,
    training_data="OAS antibodies",
    training_size=558_000_000,
    license="MIT",
    weights="package antiberty 0.1.3",
    package="antiberty==0.1.3",
    requires=("torch", "transformers", "antiberty"),
    install="pip install torch transformers && pip install --no-deps antiberty==0.1.3",
    seconds_per_1k=130.0,
    checkpoint="AntiBERTy_md_smooth",
)
def load(*, checkpoint: str, device: str) -> Network:
    """Hidden states of the residues; the package is read as a folder of weights."""
    folder = package_folder("antiberty") / "trained_models"
    lines = (folder / "vocab.txt").read_text(encoding="ascii").split()
    known = {token: number for number, token in enumerate(lines)}

    def tokenize(sequences: Sequence[str]) -> list[list[int]]:
        first, last, unknown = (known[token] for token in ("[CLS]", "[SEP]", "[UNK]"))
        return [[first, *(known.get(r, unknown) for r in s), last] for s in sequences]

    return TextEncoder(
        load_encoder("BertModel", folder / checkpoint), tokenize, known["[PAD]"], device
    )
