"""Stand-in."""


def missing() -> str | None:
    """Return why this loader cannot run here, or None."""
    return "this build has no CUDA kernels"
