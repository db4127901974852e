"""Stand-in."""


def missing() -> str | None:
    """Return why this loader cannot run here, or None."""
    return "CuPy is not installed"
