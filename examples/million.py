"""Make the stores that examples/million.yaml compares: four models of a million samples.

    python examples/million.py stores/million --n 1000000

Samples have 64 latent directions, of which the first count most, around 512 centres. A model sees
them through a layer of its own, with directions that no other model sees (from a tenth of what it
sees to four fifths), and 256 features whose variances fall as a power law.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from consilience import store

LATENT, HIDDEN, CENTRES, BLOCK = 64, 192, 512, 20_000
PRIVATE = {"near": 0.1, "middle": 0.25, "far": 0.5, "alone": 0.8}

Array = np.ndarray[Any, Any]


def latents(block: int, n_rows: int, owner: int = 0) -> Array:
    """Return the latent coordinates of a block of samples, of all models or of one."""
    centres = np.random.default_rng([1, owner]).standard_normal((CENTRES, LATENT))
    rng = np.random.default_rng([2, owner, block])
    rows = centres[rng.integers(0, CENTRES, n_rows)] + 0.6 * rng.standard_normal((n_rows, LATENT))
    return rows * np.arange(1, LATENT + 1) ** -0.6


def batches(model: int, n: int, width: int) -> Iterator[tuple[list[str], Array]]:
    """Yield the ids and rows of a model in blocks."""
    share = list(PRIVATE.values())[model]
    rng = np.random.default_rng([3, model])
    inward = rng.standard_normal((LATENT, HIDDEN)) / np.sqrt(LATENT / 8)
    own = rng.standard_normal((LATENT, HIDDEN)) / np.sqrt(LATENT / 8)
    outward, _ = np.linalg.qr(rng.standard_normal((max(HIDDEN, width),) * 2))
    spectrum = np.arange(1, width + 1) ** -0.5
    for block, start in enumerate(range(0, n, BLOCK)):
        n_rows = min(BLOCK, n - start)
        seen = np.sqrt(1 - share) * latents(block, n_rows) @ inward
        seen += np.sqrt(share) * latents(block, n_rows, model + 1) @ own
        rows = np.tanh(seen) @ outward[:HIDDEN, :width] * spectrum
        rows += 1e-3 * np.random.default_rng([4, model, block]).standard_normal(rows.shape)
        yield [f"sample-{i}" for i in range(start, start + n_rows)], rows.astype(np.float32)


def main() -> None:
    """Write the stores that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=256)
    asked = parser.parse_args()
    facts = {"name": "million", "n": asked.n, "width": asked.width}
    for number, name in enumerate(PRIVATE):
        path = asked.folder / name
        try:
            if store.open(path).manifest.dataset == facts:
                continue
        except FileNotFoundError:
            pass
        made = store.write(
            path,
            batches(number, asked.n, asked.width),
            model=name,
            dataset=facts,
            overwrite=True,
        )
        print(f"wrote {made.shape[0]} x {made.shape[1]} to {path}")  # noqa: T201


if __name__ == "__main__":
    main()
