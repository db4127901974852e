from __future__ import annotations

import random

import pytest

from faults.harness import Engine, build_shim

LETTERS = "ACDEFGHIKLMNPQRSTVWY"


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    scratch = tmp_path_factory.mktemp("faults")
    shim = build_shim(scratch)
    if shim is None:
        pytest.skip("injecting faults needs Linux and a C compiler")
    made = Engine(scratch, shim)
    yield made
    made.close()


@pytest.fixture(scope="session")
def sequences(tmp_path_factory):
    """Sixty proteins in a file."""
    draw = random.Random(0)
    text = "".join(f">p{i}\n{''.join(draw.choices(LETTERS, k=20))}\n" for i in range(60))
    path = tmp_path_factory.mktemp("data") / "proteins.fasta"
    path.write_text(text)
    return path
