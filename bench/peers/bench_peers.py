"""All programs at all works, at sizes that the slowest can do, two threads.

`make bench-peers`, in an environment that has them; what is absent is skipped with a reason.
"""

from __future__ import annotations

import pytest
import race
from workloads import cores
from works import WORKS

N_THREADS = min(2, cores())
RACED = [work for work in WORKS if work.peers_n]


@pytest.mark.parametrize("work", RACED, ids=lambda work: work.name)
def test_ours(work, timed, quick):
    race.ours(work, work.peers_n, N_THREADS, timed, quick)


@pytest.mark.parametrize(("work", "rival"), race.entries(target=False))
def test_rival(work, rival, timed, quick):
    race.theirs(work, rival, work.peers_n, N_THREADS, timed, quick)
