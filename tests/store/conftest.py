import pytest


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """What fsync is for no test of one process can see; tests/store/crashes.py counts its calls."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
