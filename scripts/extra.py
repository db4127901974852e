"""Print what an extra of this package asks for: `python scripts/extra.py dev`.

Installing the extra itself would build the extension once more.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def main() -> None:
    """Print the requirements of the extra that is named."""
    extras = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
    print(*(need for need in extras[sys.argv[1]] if not need.startswith("consilience")))  # noqa: T201


if __name__ == "__main__":
    main()
