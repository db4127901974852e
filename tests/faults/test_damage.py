"""Files that are damaged, cut short or gone: named in a sentence, and never a wrong number."""

from __future__ import annotations

import random
import shutil

import pytest

from consilience import store
from consilience.study.plan import read_plan
from consilience.study.run import run_study

STUDY_FILES = ("first.matrix.json", "first.part.json", "second.part.json", "result.json")


@pytest.fixture
def study(cases, tmp_path):
    """A plan whose stores may be damaged, and a finished study of it."""
    case = cases["study"]
    given = shutil.copytree(case.given.parent, tmp_path / "given")
    plan = given / "study.json"
    plan.write_text(plan.read_text().replace(str(case.given.parent), str(given)))
    return case, plan, given


def flip(path, draw):
    """Turn one random bit of a file."""
    content = bytearray(path.read_bytes())
    place = draw.randrange(len(content))
    content[place] ^= 1 << draw.randrange(8)
    path.write_bytes(content)
    return place


def data_files(folder):
    files = [folder / entry.file for entry in store.open(folder).manifest.files]
    assert files
    return files


def ran(plan, folder):
    return run_study(read_plan(plan), folder, report=False)


def test_a_flipped_bit_is_named_by_verify_and_by_a_study(study, tmp_path, instants):
    _, plan, given = study
    draw = random.Random(0)
    for _ in range(instants):
        file = draw.choice(data_files(given / "m1"))
        content = file.read_bytes()
        flip(file, draw)
        with pytest.raises(ValueError, match=file.name):
            store.open(given / "m1").verify()
        with pytest.raises(ValueError, match=file.name):
            ran(plan, tmp_path / "study")
        file.write_bytes(content)
    ran(plan, tmp_path / "study")


@pytest.mark.parametrize("left", [0, 7, 0.5, -1])
def test_a_file_cut_short_is_named(study, tmp_path, left):
    _, plan, given = study
    for file in data_files(given / "m1"):
        content = file.read_bytes()
        keep = int(left * len(content)) if isinstance(left, float) else left
        file.write_bytes(content[:keep])
        with pytest.raises(ValueError, match=file.name):
            ran(plan, tmp_path / "study")
        file.write_bytes(content)


def test_a_missing_file_is_named_with_the_remedy(study, tmp_path):
    _, plan, given = study
    for file in [*data_files(given / "m1"), given / "m1" / "manifest.json"]:
        content = file.read_bytes()
        file.unlink()
        with pytest.raises(FileNotFoundError, match=rf"m1.*{file.name}.*; embed "):
            ran(plan, tmp_path / "study")
        file.write_bytes(content)


def test_damaged_results_are_made_again(cases, tmp_path, instants):
    case = cases["study"]
    done = tmp_path / "done"
    assert case.run(case.fresh(done)).code == 0
    draw = random.Random(1)
    for name in STUDY_FILES:
        for _ in range(max(3, instants // 10)):
            folder = tmp_path / "run"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(done, folder)
            flip(folder / name, draw)
            case.check_resumes(folder)


def test_embeddings_of_the_study_that_are_damaged_are_named(cases, tmp_path):
    case = cases["study that embeds"]
    folder = case.fresh(tmp_path / "run")
    assert case.run(folder).code == 0
    own = folder / "embeddings" / "first" / "random"
    flip(next(f for f in data_files(own) if f.suffix == ".safetensors"), random.Random(2))
    (folder / "first.part.json").unlink()
    with pytest.raises(ValueError, match=rf"first/random: .*remove {own}"):
        ran(case.given, folder)
    shutil.rmtree(own)
    case.check_resumes(folder)
