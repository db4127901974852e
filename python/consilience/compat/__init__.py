"""Faces of other programs: their names and arguments, our engine."""
