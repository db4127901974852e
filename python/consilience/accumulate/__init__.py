"""Scores of embeddings that come in batches: exact where moments suffice, else estimated."""

from consilience.accumulate.moments import Moments

__all__ = ["Moments"]
