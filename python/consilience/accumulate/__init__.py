"""Scores of embeddings that come in batches: exact where moments suffice, else estimated."""

from consilience.accumulate.moments import Moments
from consilience.accumulate.streaming_hsic import Estimate, StreamingHSIC

__all__ = ["Estimate", "Moments", "StreamingHSIC"]
