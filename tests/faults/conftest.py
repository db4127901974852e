from __future__ import annotations

import os
import random

import pytest

from faults.cases import Case, make_plans, stored, studied
from faults.harness import Engine, build_shim

LETTERS = "ACDEFGHIKLMNPQRSTVWY"
# `make faults` asks for more than the suite has time for: random instants, and all places.
ASKED = os.environ.get("CONSILIENCE_FAULTS")


@pytest.fixture(scope="session")
def instants():
    """How many random instants a kill is tried at, in all."""
    return int(ASKED or 24)


@pytest.fixture(scope="session")
def every():
    """Whether every place is tried, and not some of them."""
    return ASKED is not None


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
def cases(engine, tmp_path_factory):
    """Scenes, run once undisturbed."""
    folder = tmp_path_factory.mktemp("cases")
    sequences = proteins(folder / "proteins.fasta", 60)
    old = folder / "old"
    assert engine.run("write", sequences, old).code == 0
    plan, embedding = make_plans(folder / "given", sequences)
    many = proteins(folder / "many.fasta", 60, repeats=300)
    _, long = make_plans(folder / "long", sequences, embedded=many)
    made = {
        "embed": Case(engine, "embed", sequences, stored),
        "write": Case(engine, "write", sequences, stored, before=old),
        "study": Case(engine, "study", plan, studied),
        "study that embeds": Case(engine, "study", embedding, studied),
        "study by command": Case(engine, "study_by_command", plan, studied),
        "long study": Case(engine, "study", long, studied),
    }
    return {name: case.undisturbed(folder / name) for name, case in made.items()}


def proteins(path, n, repeats=1):
    """Write n proteins, every one so many times under new names."""
    draw = random.Random(0)
    drawn = ["".join(draw.choices(LETTERS, k=20)) for _ in range(n)]
    path.write_text("".join(f">p{i}-{k}\n{drawn[i]}\n" for k in range(repeats) for i in range(n)))
    return path
