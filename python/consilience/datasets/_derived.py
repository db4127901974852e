"""Columns made out of other columns when a model first asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

DERIVED = {"selfies": "smiles", "sequence": "structure"}


def derive(name: str, columns: Mapping[str, Sequence[Any]]) -> list[Any]:
    """Make the column `name`; a value that cannot be made is None.

    Raises
    ------
    ValueError
        If a package is needed that is not here.
    """
    return MAKERS[name](columns[DERIVED[name]])


def _selfies(smiles: Sequence[str]) -> list[str | None]:
    """Write molecules as SELFIES (Krenn et al. 2020), or None where its valences forbid one."""
    try:
        import selfies
    except ImportError as error:
        raise ValueError("'selfies' needs selfies: pip install selfies==2.2.0") from error
    texts: list[str | None] = []
    for text in smiles:
        try:
            texts.append(selfies.encoder(text))
        except selfies.EncoderError:
            texts.append(None)
    return texts


def _sequences(structures: Sequence[Any]) -> list[str]:
    return [structure.sequence for structure in structures]


MAKERS: dict[str, Callable[[Sequence[Any]], list[Any]]] = {
    "selfies": _selfies,
    "sequence": _sequences,
}
