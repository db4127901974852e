"""Exact neighbours: half-precision tiles under a bound choose whom float64 differences judge."""

SCREENED_FROM = 2048
