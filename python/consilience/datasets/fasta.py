"""Protein sequences of the user's own in one FASTA file."""

from __future__ import annotations

from pathlib import Path

from consilience.datasets._gather import Sample, gather
from consilience.datasets._open import read_text
from consilience.datasets._registry import dataset
from consilience.datasets._samples import Samples

AMINO_ACIDS = frozenset("ACDEFGHIKLMNPQRSTVWYX")
# Letters for rare or undecided amino acids, which models do not tell apart.
RARE = str.maketrans(dict.fromkeys("BJOUZ", "X"))


@dataset(
    name="fasta",
    summary="your own protein sequences in a FASTA file",
    modality="proteins",
    columns=("sequence",),
    license="yours",
    citation="",
    takes_path=True,
)
def load(n: int | None = None, seed: int = 0, *, path: str | Path) -> Samples:
    """Load protein sequences.

    Parameters
    ----------
    n : int, optional
        How many sequences to draw; by default all, in the order of the file.
    seed : int
        Fixes which n are drawn.
    path : path
        A FASTA file, also packed (.gz).

    Returns
    -------
    Samples
        Ids are the first words of the headers, column "sequence" (capitals; B, J, O, U and Z
        become X, a stop at the end is dropped). What is empty or has other letters is skipped
        and counted.

    Raises
    ------
    ValueError
        If the file cannot be read, is no FASTA file, has an id twice or too few sequences.
    """
    file = Path(path)
    entries = _entries(file)

    def read(i: int) -> list[Sample | None]:
        name, text = entries[i]
        sequence = text.upper().removesuffix("*").translate(RARE)
        if not sequence or not AMINO_ACIDS.issuperset(sequence):
            return [None]
        return [Sample(name, {"sequence": sequence})]

    return gather(read, len(entries), n=n, seed=seed, source=str(file), what="sequences")


def _entries(file: Path) -> list[tuple[str, str]]:
    """Return names and sequences; a name is one word."""
    entries: list[tuple[str, list[str]]] = []
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        if line.startswith(">"):
            name = line[1:].split(maxsplit=1)
            entries.append((name[0] if name else f"{file.stem}-{number:06d}", []))
        elif line.strip():
            if not entries:
                raise ValueError(
                    f"{file}, line {number}: a FASTA file begins with a line '>id', "
                    f"got {line[:60]!r}"
                )
            entries[-1][1].append("".join(line.split()))
    return [(name, "".join(parts)) for name, parts in entries]
