"""ANNalog, a transformer that rewrites molecules into analogues of them (package annalog)."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consilience.models._hooks import split_padded, to_numpy
from consilience.models._network import Network, States
from consilience.models._registry import model, package_folder
from consilience.models._text_encoder import SMILES_TOKEN
from consilience.models._weights import plain_weights

# Not in the file of weights; the package writes them into its code.
HEADS = 8
FEED_FORWARD = 512
VOCABULARY = "stereo_experiment_vocab_ttf.pkl"


@model(
    name="annalog",
    summary="encoder of a translator from the SMILES of a molecule to those of its analogues",
    family="ANNalog",
    architecture="transformer encoder",
    modality="string",
    embedding="vanilla",
    representation="smiles",
    width=256,
    parameters=4_051_259,
    training_data="ChEMBL analogue pairs",
    license="MIT",
    weights="package annalog 1.0.6",
    package="annalog==1.0.6",
    requires=("torch", "annalog"),
    install="pip install torch && pip install --no-deps annalog==1.0.6",
    seconds_per_1k=0.8,
    checkpoint="Lev_extended.pt",
)
def load(*, checkpoint: str, device: str) -> Network:
    """Build the encoder of the translator; the decoder is left out."""
    folder = package_folder("annalog") / "ckpt_and_vocab"
    weights = plain_weights(folder / checkpoint)
    prefix = "encoder."
    encoder = _build({k.removeprefix(prefix): v for k, v in weights.items() if prefix in k[:8]})
    return _Translator(encoder.to(device).eval(), _vocabulary(folder / VOCABULARY), device)


def _build(weights: dict[str, Any]) -> Any:
    """Put the weights into torch's own encoder layers, which compute the same."""
    import torch

    width = weights["tok_embedding.weight"].shape[1]
    n_layers = 1 + max(int(name.split(".")[1]) for name in weights if name[:7] == "layers.")
    layers = []
    for number in range(n_layers):
        layer = torch.nn.TransformerEncoderLayer(width, HEADS, FEED_FORWARD, batch_first=True)
        layer.load_state_dict(_renamed(weights, f"layers.{number}."))
        layers.append(layer)
    return torch.nn.ModuleDict(
        {
            "tokens": torch.nn.Embedding.from_pretrained(weights["tok_embedding.weight"]),
            "positions": torch.nn.Embedding.from_pretrained(weights["pos_embedding.weight"]),
            "layers": torch.nn.ModuleList(layers),
        }
    )


def _renamed(weights: dict[str, Any], prefix: str) -> dict[str, Any]:
    import torch

    names = {
        "self_attn.out_proj": "self_attention.fc_o",
        "linear1": "positionwise_feedforward.fc_1",
        "linear2": "positionwise_feedforward.fc_2",
        "norm1": "self_attn_layer_norm",
        "norm2": "ff_layer_norm",
    }
    result: dict[str, Any] = {}
    for kind in ("weight", "bias"):
        result |= {f"{new}.{kind}": weights[f"{prefix}{old}.{kind}"] for new, old in names.items()}
        parts = [weights[f"{prefix}self_attention.fc_{part}.{kind}"] for part in "qkv"]
        result[f"self_attn.in_proj_{kind}"] = torch.cat(parts)
    return result


class _NothingButPlain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"asks for {module}.{name}, a vocabulary needs no class")


def _vocabulary(path: Path) -> dict[str, int]:
    """Read the ids of tokens: a pickle of dicts, lists, strings and numbers alone."""
    with path.open("rb") as file:
        return dict(_NothingButPlain(file).load()["stoi"])


@dataclass(frozen=True)
class _Translator:
    encoder: Any
    vocabulary: dict[str, int]
    device: str

    @property
    def layers(self) -> tuple[str, ...]:
        n_layers = len(self.encoder["layers"])
        return ("embedding", *(f"layer-{number}" for number in range(1, n_layers + 1)))

    def run(self, values: Sequence[str], layers: Sequence[str]) -> States:
        import torch

        token_ids = [self._token_ids(smiles) for smiles in values]
        longest = max(map(len, token_ids))
        pad = self.vocabulary["<pad>"]
        padded = torch.tensor([row + [pad] * (longest - len(row)) for row in token_ids])
        with torch.inference_mode():
            found = dict(zip(self.layers, self._hidden(padded.to(self.device)), strict=True))
        inner = [len(row) - 2 for row in token_ids]
        return States(
            {layer: split_padded(found[layer], inner, start=1) for layer in layers},
            leading={layer: to_numpy(found[layer][:, 0]) for layer in layers},
        )

    def _token_ids(self, smiles: str) -> list[int]:
        known = self.vocabulary
        inner = [known.get(token, known["<unk>"]) for token in SMILES_TOKEN.findall(smiles)]
        most = self.encoder["positions"].num_embeddings - 2
        if len(inner) > most:
            raise ValueError(
                f"{smiles[:60]!r} has {len(inner)} tokens, this encoder reads {most}; "
                "leave such samples out"
            )
        return [known["<sos>"], *inner, known["<eos>"]]

    def _hidden(self, token_ids: Any) -> list[Any]:
        import torch

        width = self.encoder["tokens"].embedding_dim
        places = torch.arange(token_ids.shape[1], device=token_ids.device)
        state = self.encoder["tokens"](token_ids) * width**0.5 + self.encoder["positions"](places)
        hidden = [state]
        for layer in self.encoder["layers"]:
            state = layer(state, src_key_padding_mask=token_ids == self.vocabulary["<pad>"])
            hidden.append(state)
        return hidden
