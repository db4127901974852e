"""Transformers with weights of the user: states of the sample's own tokens in every layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience.models._hooks import to_numpy
from consilience.models._network import States
from consilience.models._weights import from_hub


@dataclass(frozen=True)
class Tokens:
    """A sample as a model reads it.

    Attributes
    ----------
    ids : list of int
        All token ids, special ones too.
    kept : list of int
        Positions of those that stand for the sample.
    """

    ids: list[int]
    kept: list[int]


Tokenize = Callable[[Sequence[Any]], list[Tokens]]


class Pretrained:
    """A transformer without its head.

    Parameters
    ----------
    module : torch.nn.Module
        Takes `input_ids` and `attention_mask`, gives `last_hidden_state` and `hidden_states`.
    tokenize : callable
        Makes `Tokens` of values.
    pad : int
        Fills the batch up behind each sample; masked out.
    longest : int or None
        How many tokens the model can read, if its positions are learnt.
    has_leading : bool
        Whether the first token is one like "[CLS]" that sums up the sample.
    is_causal : bool
        Whether it is made to go on writing, and would keep what it needs for that.
    """

    def __init__(
        self,
        module: Any,
        tokenize: Tokenize,
        *,
        pad: int,
        longest: int | None = None,
        has_leading: bool = False,
        is_causal: bool = False,
    ) -> None:
        self._module = module.eval()
        self._tokenize = tokenize
        self._pad = pad
        self._longest = longest
        self._has_leading = has_leading
        self._options = {"use_cache": False} if is_causal else {}
        config = module.config.get_text_config()
        n_layers = config.num_hidden_layers
        self.layers = ("embedding", *(f"layer-{i}" for i in range(1, n_layers + 1)))

    def run(self, values: Sequence[Any], layers: Sequence[str]) -> States:
        samples = self._tokenize(values)
        for value, sample in zip(values, samples, strict=True):
            self._check(value, sample)
        found = self._hidden(samples, layers)
        states = {
            layer: [row[sample.kept] for row, sample in zip(array, samples, strict=True)]
            for layer, array in found.items()
        }
        leading = {layer: array[:, 0] for layer, array in found.items()}
        return States(states, leading=leading if self._has_leading else {})

    def _check(self, value: Any, sample: Tokens) -> None:
        if not sample.kept:
            raise ValueError(f"the tokenizer finds no token in {str(value)[:60]!r}")
        if self._longest is not None and len(sample.ids) > self._longest:
            raise ValueError(
                f"{str(value)[:60]!r} has {len(sample.ids)} tokens, the model reads at most "
                f"{self._longest}; leave such samples out"
            )

    def _hidden(
        self, samples: Sequence[Tokens], layers: Sequence[str]
    ) -> dict[str, NDArray[np.floating[Any]]]:
        import torch

        lengths = [len(sample.ids) for sample in samples]
        longest = max(lengths)
        padded = [sample.ids + [self._pad] * (longest - len(sample.ids)) for sample in samples]
        device = next(self._module.parameters()).device
        mask = torch.arange(longest)[None] < torch.tensor(lengths)[:, None]
        last = self.layers[-1]
        with torch.inference_mode():
            out = self._module(
                input_ids=torch.tensor(padded, device=device),
                attention_mask=mask.long().to(device),
                output_hidden_states=any(layer != last for layer in layers),
                **self._options,
            )
        # The last one comes after the final normalisation, which not all put in `hidden_states`.
        return {
            layer: to_numpy(
                out.last_hidden_state
                if layer == last
                else out.hidden_states[self.layers.index(layer)]
            )
            for layer in layers
        }


def load_pretrained(
    checkpoint: str,
    device: str,
    tokenize: Callable[[Any], Tokenize],
    *,
    auto_class: str = "AutoModel",
    learnt_positions: bool = False,
    has_leading: bool = False,
    is_causal: bool = False,
    **options: Any,
) -> Pretrained:
    """Load a model with its tokenizer; `tokenize` makes a function of the tokenizer.

    With `learnt_positions` the length that the model can read is checked.

    Raises
    ------
    FileNotFoundError, PermissionError
        As `from_hub`.
    """
    tokenizer = from_hub("AutoTokenizer", checkpoint)
    module = from_hub(
        auto_class, checkpoint, weights_only=True, **{"dtype": "float32", **options}
    ).to(device)
    pad = next(i for i in (tokenizer.pad_token_id, tokenizer.eos_token_id, 0) if i is not None)
    return Pretrained(
        module,
        tokenize(tokenizer),
        pad=pad,
        longest=_positions(module) if learnt_positions else None,
        has_leading=has_leading,
        is_causal=is_causal,
    )


def _positions(module: Any) -> int:
    """Count the positions; RoBERTa's start behind its padding index."""
    config = module.config
    taken = config.pad_token_id + 1 if config.model_type == "roberta" else 0
    return int(config.max_position_embeddings) - taken


def plain_tokens(tokenizer: Any) -> Tokenize:
    """Keep all but the tokenizer's special tokens."""

    def tokenize(values: Sequence[str]) -> list[Tokens]:
        found = tokenizer(list(values), return_special_tokens_mask=True)
        pairs = zip(found["input_ids"], found["special_tokens_mask"], strict=True)
        return [
            Tokens(list(ids), [i for i, special in enumerate(mask) if not special])
            for ids, mask in pairs
        ]

    return tokenize
