"""Mapped arrays, as stores hand them out; see consilience._mapped."""

from consilience._mapped import describe, is_mapped, map_rows, release, reopen, scratch

__all__ = ["describe", "is_mapped", "map_rows", "release", "reopen", "scratch"]
