"""Data that ship only in the source archives of packages, and where they are kept."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "CONSILIENCE_DATA"


@dataclass(frozen=True)
class Archive:
    """The source archive of a package, and what of it is wanted.

    Attributes
    ----------
    package, version, sha256 : str
        One archive and no other.
    megabytes : int
        Its size, for whoever decides to download it.
    members : str
        Path of the wanted files below the own top folder of the archive; ``*`` and ``?`` stand for
        any name and any letter.
    """

    package: str
    version: str
    sha256: str
    megabytes: int
    members: str

    @property
    def folder(self) -> Path:
        """Where its files are once they are installed."""
        return data_folder() / f"{self.package}-{self.version}"

    @property
    def is_installed(self) -> bool:
        """Whether they are: the folder appears whole or not at all."""
        return self.folder.is_dir()


ARCHIVES = {
    archive.package: archive
    for archive in (
        Archive(
            package="mattersim",
            version="1.2.3",
            sha256="04bc55dd97bc1170c744ae93d30d773f3d8c07d35ad3efbeb817314ec0ecb16b",
            megabytes=27,
            members="data/benchmarks/*.xyz",
        ),
        Archive(
            package="mdanalysistests",
            version="2.11.0",
            sha256="5edeb5b01805da728b202103aa8d2b5974a37f1005ab1fe0150ed7d59702d2ea",
            megabytes=60,
            members="MDAnalysisTests/data/dssp/?????.pdb.gz",
        ),
    )
}


def data_folder() -> Path:
    """Return the folder for data: ``$CONSILIENCE_DATA``, else the user's own cache."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        cache = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches"
    else:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "consilience"
