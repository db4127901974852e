"""Nulls, calibration and intervals. Knows terms, not models."""
