"""Keys that a guess is made of on a GPU: tiles of 128 x 128 or 256, sectors of eight keys."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from consilience.backends.cuda import knn_exact
from consilience.backends.cuda._rows import BRICK_ROWS, Halves, Rows


@pytest.mark.parametrize(("fine", "digits"), [(False, 1e-3), (True, 1e-6)])
@pytest.mark.parametrize("distance", ["l2", "ip"])
@pytest.mark.parametrize(
    ("n_x", "n_y", "d"),
    [(1, 1, 1), (9, 100, 3), (130, 257, 70), (128, 256, 64), (300, 515, 20), (2100, 9, 2)],
)
def test_keys_are_those_of_float64(cuda, distance, n_x, n_y, d, fine, digits, rng):
    device, n = cuda.device, max(n_x, n_y) + 3
    X = rng.standard_normal((n, d)).astype(np.float32) + np.float32(0.5)
    x, y = (np.sort(rng.choice(n, size, replace=False)) for size in (n_x, n_y))
    rows = Rows.of(device, device.view(X))
    halves = Halves.of(device, rows, distance=distance, fine=fine)
    queries, _, ids_x = halves.taken(device, x)
    values, bounds, ids_y = halves.taken(device, y)
    width = knn_exact._width(n_y)
    keys = device.from_host(np.full((n_x + 1, width), np.nan, np.float32))
    launch = knn_exact._launch(device, n_x, n_y, fine=fine)
    device.launch(
        "knn_keys_fine" if fine else "knn_keys",
        *(launch.grid, launch.threads),
        *(queries, ids_x, n_x, values, bounds, ids_y, n_y, halves.chunks),
        *(2.0 if distance == "l2" else 1.0, keys, width),
        shared=launch.shared,
    )
    found = device.to_host(keys)
    U = halves.scale * (X - rows.mean)
    if distance == "l2":
        expected = (U[y] ** 2).sum(axis=1) - 2.0 * U[x] @ U[y].T
    else:
        expected = -halves.scale * U[y] @ rows.mean - U[x] @ U[y].T
    assert_array_equal(found[:n_x, :n_y] == np.inf, x[:, None] == y)
    lengths = np.linalg.norm(U, axis=1)
    others = lengths[y] + halves.scale * np.linalg.norm(rows.mean)
    near = np.abs(found[:n_x, :n_y] - expected) <= 2.0 * digits * (
        np.outer(lengths[x], lengths[y]) + others**2
    )
    assert (near | (x[:, None] == y)).all()
    assert np.isnan(found[n_x]).all()  # nothing is written beyond


def test_a_guess_in_stripes_is_the_same(cuda, rng, monkeypatch):
    X = rng.standard_normal((700, 5))
    whole = cuda.knn_exact(X, k=4, distance="l2")
    launched = []
    launch, search = cuda.device.launch, knn_exact._Search

    def recorded(kernel, *arguments, **options):
        launched.append((kernel, arguments))
        launch(kernel, *arguments, **options)

    monkeypatch.setattr(cuda.device, "launch", recorded)
    monkeypatch.setattr(
        knn_exact, "_Search", lambda *parts: search(*parts[:-1], spare=200 * 8 * 704)
    )
    part = cuda.knn_exact(X, k=4, distance="l2")
    counts = [arguments[4] for kernel, arguments in launched if kernel == "knn_keys"]
    assert counts == [BRICK_ROWS] * 5 + [700 - 5 * BRICK_ROWS]
    assert_array_equal(part.indices, whole.indices)
    assert_array_equal(part.distances, whole.distances)
    assert part.judged == whole.judged
