"""What is kept on a device of host arrays, and for how long."""

import gc

import numpy as np
import pytest

from consilience.backends.cuda._residents import Residents


@pytest.fixture
def made():
    return []


@pytest.fixture
def get(made):
    """Return a function that asks for something of so many bytes made of an array."""
    held = Residents(100)

    def ask(array, nbytes, kind="lists"):
        def make():
            made.append(nbytes)
            return nbytes

        return held.get(array, kind, make, lambda size: size)

    return ask


def test_what_was_made_is_found_again(get, made):
    array = np.ones(3)
    assert [get(array, 40), get(array, 40), get(array, 30, "values")] == [40, 40, 30]
    assert made == [40, 30]


def test_the_oldest_gives_way(get, made):
    a, b, c = (np.ones(3) for _ in range(3))
    get(a, 50), get(b, 50)
    get(a, 50)  # asked for again, and so younger than b
    get(c, 50)
    get(a, 50)
    assert made == [50, 50, 50]
    get(b, 50)
    assert made == [50, 50, 50, 50]


def test_what_is_larger_than_all_room_is_not_kept(get, made):
    array = np.ones(3)
    get(array, 101), get(array, 101)
    assert made == [101, 101]


def test_an_array_that_ends_takes_its_own_along(made):
    held = Residents(100)
    array = np.ones(3)
    held.get(array, "lists", lambda: "made", lambda _: 60)
    del array
    gc.collect()
    assert not held._held
