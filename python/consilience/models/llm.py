"""Any causal language model, asked about matter in three ways.

A system prompt, where there is one, is read but not pooled: its states are the same for every
sample. Reference: [edamadaka2025]_, whose three prompt modes these are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from consilience.models._pretrained import Pretrained, Tokenize, Tokens, load_pretrained
from consilience.models._registry import model

SYSTEM = (
    "You are an expert in chemistry, materials science and molecular biology. You are given one "
    "molecule, material or protein. Consider its composition, its bonds, its shape in space, its "
    "electronic structure and the properties that follow, and describe it."
)
PLACE = "CONSILIENCE-SAMPLE"
DATE = "2025-01-01"
COMMON: dict[str, Any] = {
    "family": "LLM",
    "architecture": "transformer decoder",
    "modality": "language",
    "embedding": "vanilla",
    "training_data": "text",
    "license": "as stated with the weights",
    "weights": "a folder, or a causal language model in the cache of huggingface_hub, "
    "such as Qwen/Qwen3-8B",
    "requires": ("torch", "transformers", "ase"),
    "install": "pip install torch transformers accelerate ase",
    "seconds_per_1k": 5000.0,
    "checkpoint": "",
    "takes_weights": True,
}


@model(
    name="llm",
    summary="a causal language model that reads a SMILES after a system prompt",
    representation="smiles",
    **COMMON,
)
def load_with_system(*, checkpoint: str, device: str) -> Pretrained:
    """Load the decoder; the tokens of the SMILES are pooled, those of the prompt are not."""
    return _load(checkpoint, device, prompted_tokens)


@model(
    name="llm-blank",
    summary="a causal language model that reads a SMILES and nothing else",
    representation="smiles",
    **COMMON,
)
def load_blank(*, checkpoint: str, device: str) -> Pretrained:
    """Load the decoder; the tokenizer's own special tokens are not pooled."""
    return _load(checkpoint, device, lambda tokenizer: text_tokens(tokenizer, str))


@model(
    name="llm-atoms",
    summary="a causal language model that reads the atoms and their places as text",
    representation="atoms",
    **COMMON,
)
def load_atoms(*, checkpoint: str, device: str) -> Pretrained:
    """Load the decoder; a sample is what `atoms_as_text` makes of it."""
    return _load(checkpoint, device, lambda tokenizer: text_tokens(tokenizer, atoms_as_text))


def _load(checkpoint: str, device: str, tokenize: Callable[[Any], Tokenize]) -> Pretrained:
    # The numbers as stored: a large model in float32 would need twice the memory.
    return load_pretrained(checkpoint, device, tokenize, dtype="auto", is_causal=True)


def text_tokens(tokenizer: Any, text: Callable[[Any], str]) -> Tokenize:
    """Read a text by itself, behind whatever the tokenizer puts in front of every text."""

    def tokenize(values: Sequence[Any]) -> list[Tokens]:
        texts = [text(value) for value in values]
        plain = tokenizer(texts, add_special_tokens=False)["input_ids"]
        opening = _opening(tokenizer)
        return [
            Tokens([*opening, *ids], list(range(len(opening), len(opening) + len(ids))))
            for ids in plain
        ]

    return tokenize


def prompted_tokens(tokenizer: Any) -> Tokenize:
    """Read a text behind the system prompt, in the model's chat format if it has one.

    Nothing follows the text: in a causal model that could not change its states.
    """
    before, complete = _before(tokenizer)

    def tokenize(values: Sequence[str]) -> list[Tokens]:
        found = tokenizer(
            [before + value for value in values],
            add_special_tokens=not complete,
            return_offsets_mapping=True,
        )
        return [
            Tokens(list(ids), [i for i, (_, end) in enumerate(spans) if end > len(before)])
            for ids, spans in zip(found["input_ids"], found["offset_mapping"], strict=True)
        ]

    return tokenize


def _opening(tokenizer: Any) -> list[int]:
    """Return the ids in front of every text, such as a mark of its beginning."""
    found = tokenizer("a", return_special_tokens_mask=True)
    mask = found["special_tokens_mask"]
    return list(found["input_ids"][: mask.index(0)]) if 0 in mask else []


def _before(tokenizer: Any) -> tuple[str, bool]:
    """Return what stands before the text, and whether special tokens are in it already."""
    if not tokenizer.chat_template:
        return f"{SYSTEM}\n\n", False
    user = {"role": "user", "content": PLACE}
    try:
        prompt = _filled(tokenizer, [{"role": "system", "content": SYSTEM}, user])
    except Exception:
        # Some formats have no place for a system prompt: it then opens the user's turn.
        prompt = _filled(tokenizer, [{"role": "user", "content": f"{SYSTEM}\n\n{PLACE}"}])
    before, found, _ = prompt.partition(PLACE)
    if not found or SYSTEM not in before:
        raise ValueError(
            "the chat template of this model leaves the system prompt out; use llm-blank"
        )
    return before, True


def _filled(tokenizer: Any, turns: list[dict[str, str]]) -> str:
    """Fill the chat template; some put in the date of the day, which must not matter here."""
    same_day = "{% macro strftime_now(format) %}" + DATE + "{% endmacro %}"
    prompt = tokenizer.apply_chat_template(
        turns,
        chat_template=same_day + tokenizer.get_chat_template(),
        tokenize=False,
        date_string=DATE,
    )
    return str(prompt)


def atoms_as_text(atoms: Any) -> str:
    """Write atoms as the call that makes them in ASE.

    Parameters
    ----------
    atoms : Atoms
        Positions in ångström, written to three decimals.

    Returns
    -------
    str
    """
    from ase.data import chemical_symbols

    symbols = [chemical_symbols[number] for number in atoms.numbers]
    places = ", ".join("[" + ", ".join(f"{x:.3f}" for x in row) + "]" for row in atoms.positions)
    parts = [f"symbols={symbols!r}", f"positions=[{places}]"]
    if atoms.cell is not None:
        rows = ", ".join("[" + ", ".join(f"{x:.3f}" for x in row) + "]" for row in atoms.cell)
        parts.append(f"cell=[{rows}]")
    parts.append(f"pbc={[bool(along) for along in atoms.pbc]}")
    return f"Atoms({', '.join(parts)})"
