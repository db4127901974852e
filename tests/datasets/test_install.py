"""Data out of source archives: only the wanted files, only of the right archive, whole or not."""

import hashlib
import io
import tarfile
from dataclasses import replace

import pytest

from consilience import datasets
from consilience.datasets import DATASETS, _archives, _install, _registry
from consilience.datasets._archives import ARCHIVES, Archive, data_folder

# A build backend of the archive's own, so that pip needs nothing but this file.
BACKEND = """
import os
def _metadata(folder):
    os.mkdir(os.path.join(folder, "toy_data-1.0.dist-info"))
    with open(os.path.join(folder, "toy_data-1.0.dist-info", "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\\nName: toy-data\\nVersion: 1.0\\n")
    return "toy_data-1.0.dist-info"
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    return _metadata(folder)
def build_wheel(folder, config_settings=None, metadata_directory=None):
    raise RuntimeError("nothing is built")
"""
FILES = {
    "pyproject.toml": '[build-system]\nrequires=[]\nbuild-backend="own"\nbackend-path=["."]\n',
    "own.py": BACKEND,
    "PKG-INFO": "Metadata-Version: 2.1\nName: toy-data\nVersion: 1.0\n",
    "data/a.xyz": "1\n\nH 0 0 0\n",
    "data/b.xyz": "1\n\nO 0 0 0\n",
    "data/deeper/c.txt": "not wanted",
}


def pack(path, files, links=()):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"toy_data-1.0/{name}")
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content.encode()))
        for name, target in links:
            member = tarfile.TarInfo(f"toy_data-1.0/{name}")
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A dataset "toy" whose archive pip finds in a folder."""
    (tmp_path / "registry").mkdir()
    packed = tmp_path / "registry" / "toy_data-1.0.tar.gz"
    archive = Archive("toy_data", "1.0", pack(packed, FILES), 1, "data/*.xyz")
    monkeypatch.setenv("CONSILIENCE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(packed.parent))
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    monkeypatch.setitem(ARCHIVES, "toy_data", archive)
    entry = replace(DATASETS["fasta"], name="toy", archive="toy_data", takes_path=False)
    monkeypatch.setitem(DATASETS, "toy", entry)
    return archive


@pytest.fixture
def with_pip():
    pytest.importorskip("pip")


def temporary_left(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".install")]


def test_pip_brings_the_files_that_are_wanted_and_no_others(toy, with_pip):
    assert datasets.missing(DATASETS["toy"]) == (
        "toy needs files of toy_data 1.0 (1 MB): consilience datasets install toy"
    )
    with pytest.raises(ValueError, match="consilience datasets install toy"):
        datasets.load_samples("toy")
    folder = _install.install("toy")
    assert folder == data_folder() / "toy_data-1.0"
    assert sorted(path.name for path in folder.iterdir()) == ["a.xyz", "b.xyz"]
    assert (folder / "b.xyz").read_text() == FILES["data/b.xyz"]
    assert datasets.missing(DATASETS["toy"]) is None
    assert temporary_left(data_folder()) == []


def test_what_is_installed_is_not_downloaded_again(toy, monkeypatch):
    toy.folder.mkdir(parents=True)
    monkeypatch.setattr(_install, "download", None)
    assert _install.install("toy") == toy.folder


def test_pip_refuses_another_archive_under_the_same_name(toy, with_pip, monkeypatch):
    monkeypatch.setitem(ARCHIVES, "toy_data", replace(toy, sha256="0" * 64))
    with pytest.raises(RuntimeError, match=r"could not download the source archive of toy_data"):
        _install.install("toy")
    assert not toy.is_installed
    assert temporary_left(data_folder()) == []


def test_we_refuse_another_archive_too(toy, tmp_path, monkeypatch):
    class Pip:
        returncode, stderr = 0, ""

    (tmp_path / "toy_data-1.0.tar.gz").write_bytes(b"something else")
    monkeypatch.setattr(_install.subprocess, "run", lambda *_, **__: Pip)
    with pytest.raises(RuntimeError, match=f"not the expected {toy.sha256}; it was not used"):
        _install.download(toy, tmp_path)


def test_an_archive_that_is_nowhere(toy, with_pip, monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"toy_data==1\.0: .*No matching distribution"):
        _install.install("toy")


def test_links_and_paths_out_of_the_folder_are_not_unpacked(tmp_path):
    packed = tmp_path / "toy.tar.gz"
    files = {"data/a.xyz": "fine", "data/../../evil.xyz": "out", "../evil.xyz": "out"}
    pack(packed, files, links=[("data/link.xyz", "/etc/passwd")])
    _install.unpack(packed, "data/*.xyz", tmp_path / "files")
    names = sorted(path.name for path in (tmp_path / "files").iterdir())
    assert set(names) <= {"a.xyz", "evil.xyz"}
    assert (tmp_path / "files" / "a.xyz").read_text() == "fine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "toy.tar.gz"]


def test_an_archive_without_the_files_is_not_used(tmp_path):
    packed = tmp_path / "toy.tar.gz"
    pack(packed, FILES)
    with pytest.raises(RuntimeError, match=r"toy\.tar\.gz has no files data/\*\.csv"):
        _install.unpack(packed, "data/*.csv", tmp_path / "files")


def test_datasets_without_an_archive_say_how_they_come():
    with pytest.raises(ValueError, match=r"qm9 has nothing to download.*pip install qm9pack"):
        _install.install("qm9")
    with pytest.raises(ValueError, match=r"fasta has nothing to download.*use fasta:PATH"):
        _install.install("fasta")
    with pytest.raises(ValueError, match="did you mean 'alexandria'"):
        _install.install("alexandra")


def test_every_archive_that_a_dataset_names_is_pinned():
    named = {entry.archive for entry in DATASETS.values()} - {""}
    assert named == set(ARCHIVES)
    for name, archive in ARCHIVES.items():
        assert archive.package == name
        assert len(archive.sha256) == 64


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {"XDG_CACHE_HOME": "/c"}, "/c/consilience"),
        ("linux", {}, "/h/.cache/consilience"),
        ("darwin", {}, "/h/Library/Caches/consilience"),
        ("linux", {"CONSILIENCE_DATA": "~/data"}, "/h/data"),
    ],
)
def test_the_data_folder_is_the_one_chosen_or_the_cache(monkeypatch, platform, variables, folder):
    for name in ("CONSILIENCE_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/h", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(_archives.sys, "platform", platform)
    assert str(data_folder()) == folder


def test_a_missing_package_is_named_as_it_is_pinned(monkeypatch):
    monkeypatch.setattr(_registry.importlib.util, "find_spec", lambda name: None)
    sentence = "ccd needs biotite and rdkit: pip install biotite==1.6.0 rdkit"
    assert datasets.missing(DATASETS["ccd"]) == sentence
    assert datasets.missing(DATASETS["pdb"]) == "pdb needs biotite: pip install biotite"
    assert datasets.missing(DATASETS["fasta"]) is None
    assert datasets.missing(DATASETS["moses"]) == (
        "moses needs moses and rdkit: pip install rdkit && pip install --no-deps molsets==0.3.1"
    )
    assert datasets.missing(DATASETS["qm9"]).endswith("pip install qm9pack==1.0.3 rdkit")
