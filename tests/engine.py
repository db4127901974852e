"""The engine's own parts, for tests of ops."""

from consilience.backends import select
from consilience.backends.native import NativeBackend


def native(**options):
    """Return the native backend with these options, ready to run."""
    chosen = select("native", [])
    return NativeBackend(**{"n_threads": chosen.n_threads, **options})
