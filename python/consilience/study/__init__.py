"""Comparisons of many models: the only room that sees store, backends and metrics together."""
