"""Embeddings of real models for the benches: `python bench/real_data.py [NAME ...] [--n N]`.

Writes NAME.npy into the folder that CONSILIENCE_BENCH_DATA names, else bench/data. Weights and
molecules ship in packages (the extras "models" and admet-ai, consilience/models/nodeps.txt); the
texts are the definitions of WordNet 3.0, from Debian's wordnet-base or the folder that
CONSILIENCE_WORDNET names.
About 25 minutes on one core. Benches skip what is not there.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
FOLDER = Path(os.environ.get("CONSILIENCE_BENCH_DATA") or Path(__file__).parent / "data")
WORDNET = Path(os.environ.get("CONSILIENCE_WORDNET", "/usr/share/wordnet"))
BLOCK = 10_000
# name -> (model, dataset, samples); "text256" is "text" on its 256 leading axes.
MOLECULES = {
    "chemnet": ("chemnet", "qm9", 40_000),
    "aimnet2": ("aimnet2", "qm9", 40_000),
    "dmpnn": ("dmpnn-admet-classification", "qm9", 40_000),
}
TEXT, TEXT_SAMPLES, AXES = "minilm", 100_000, 256
NAMES = ("text", "text256", *MOLECULES)


def load(name: str) -> Array:
    """Return the rows of a set, float32; FileNotFoundError says how to make it."""
    path = FOLDER / f"{name}.npy"
    if not path.exists():
        raise FileNotFoundError(f"no {path}: python bench/real_data.py {name}")
    return np.ascontiguousarray(np.load(path), dtype=np.float32)


def facts(name: str, X: Array) -> dict[str, Any]:
    """Return what a result must say about its data."""
    return {"data": name, "shape": list(X.shape), "sha256": hashlib.sha256(X).hexdigest()}


def definitions() -> list[str]:
    """Return the distinct definitions of WordNet, without examples, in a seeded order."""
    found = {}
    for part in ("noun", "verb", "adj", "adv"):
        for line in (WORDNET / f"data.{part}").read_text(encoding="latin-1").splitlines():
            if not line.startswith("  "):  # the licence
                found[line.partition("| ")[2].partition(";")[0].strip()] = None
    texts = list(found)
    return [texts[i] for i in np.random.default_rng(0).permutation(len(texts))]


def embed(model: str, samples: Any, batch_size: int) -> Array:
    from consilience import models

    return np.concatenate([b.rows for b in models.embed(model, samples, batch_size=batch_size)])


def text_block(texts: list[str]) -> Array:
    """Embed some texts; those of alike lengths go through the model together."""
    from consilience.datasets import Samples

    order = np.argsort([len(text) for text in texts], kind="stable")
    # "smiles" is the column that the adapter reads; it takes any string.
    samples = Samples(ids=tuple(map(str, order)), columns={"smiles": [texts[i] for i in order]})
    return embed(TEXT, samples, 128)[np.argsort(order)]


def leading_axes(X: Array, n_axes: int) -> Array:
    """Return centred X on its leading principal axes."""
    centered = X - X.mean(axis=0, dtype=np.float64)
    _, vectors = np.linalg.eigh(centered.T @ centered)
    return (centered @ vectors[:, ::-1][:, :n_axes]).astype(np.float32)


def write(name: str, X: Array) -> None:
    path = FOLDER / f"{name}.npy"
    part = path.with_suffix(".part.npy")
    np.save(part, X)
    part.replace(path)
    print(f"{path}: {X.shape[0]} x {X.shape[1]}", flush=True)


def make(name: str, n_samples: int | None) -> None:
    if name == "text256":
        write(name, leading_axes(load("text"), AXES))
    elif name == "text":
        texts, done = definitions()[: n_samples or TEXT_SAMPLES], []
        for start in range(0, len(texts), BLOCK):
            done.append(text_block(texts[start : start + BLOCK]))
            write(name, np.concatenate(done))
    else:
        from consilience.datasets import load_samples

        model, dataset, default = MOLECULES[name]
        write(name, embed(model, load_samples(dataset, n=n_samples or default, seed=0), 64))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--n", type=int, help="fewer samples")
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"no such set: {', '.join(sorted(unknown))}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in options.names or NAMES:
        make(name, options.n)


if __name__ == "__main__":
    main()
