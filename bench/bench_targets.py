"""The works of `works.py` at the sizes of the targets, two threads, against their floors.

The floor is timed right before every round of ours; the ratio is the median over rounds. Rivals
are the compositions of an expert and pynndescent, at the same size; `peers/` has the others.
"""

from __future__ import annotations

import pytest
import race
from workloads import cores
from works import WORKS

N_THREADS = min(2, cores())


@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name)
def test_ours(work, timed, quick):
    race.ours(work, work.n, N_THREADS, timed, quick)


@pytest.mark.parametrize(("work", "rival"), race.entries(target=True))
def test_rival(work, rival, timed, quick):
    race.theirs(work, rival, work.n, N_THREADS, timed, quick)
