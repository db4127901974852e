"""Every public function against every bad input: it raises, and says what and where."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

import consilience as cs
from consilience import _validate
from consilience._validate import as_embeddings
from functions import EVERY, PAIRS, SINGLES

N = 24

RUN = [name for name in EVERY if name != "preprocess"]  # what a backend runs


@pytest.fixture
def X():
    return np.random.default_rng(40).standard_normal((N, 4))


@pytest.fixture
def Y():
    return np.random.default_rng(41).standard_normal((N, 3))


def call(name, *arrays, **options):
    return getattr(cs, name)(*arrays, **{**EVERY[name], **options})


def with_bad_first(name, bad, Y):
    return call(name, bad) if name in SINGLES else call(name, bad, Y)


# Which array is bad: each function's first, and each pair function's second.
PLACES = [(name, "X") for name in EVERY] + [(name, "Y") for name in PAIRS]


def bad_call(name, place, bad, good):
    if name in SINGLES:
        return call(name, bad)
    return call(name, bad, good) if place == "X" else call(name, good, bad)


def spoiled(array, row, column, value):
    array = array.copy()
    array[row, column] = value
    return array


def test_the_list_of_functions_is_complete():
    """A public function that takes embeddings cannot be left out of these tests."""
    takes_embeddings = {
        name
        for name in cs.__all__
        if callable(getattr(cs, name))
        and not inspect.isclass(getattr(cs, name))
        and "X" in inspect.signature(getattr(cs, name)).parameters
    }
    assert takes_embeddings == set(EVERY)


@pytest.mark.parametrize("name", EVERY)
def test_good_input_is_taken(name, X, Y):
    # Without this the tests below could pass by refusing everything.
    with_bad_first(name, X, Y)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("rows", [N - 1, N + 2])
def test_different_numbers_of_samples(name, rows, X, backend):
    other = np.random.default_rng(42).standard_normal((rows, 3))
    with pytest.raises(ValueError, match=rf"n_samples.*{N}.*{rows}"):
        call(name, X, other, backend=backend)


@pytest.mark.parametrize(("name", "place"), PLACES)
@pytest.mark.parametrize("shape", [(N,), (N, 4, 1), ()])
def test_wrong_number_of_dimensions(name, place, shape, X):
    bad = np.ones(shape)
    with pytest.raises((TypeError, ValueError), match=rf"\b{place}\b.*n_samples, n_features"):
        bad_call(name, place, bad, X)


@pytest.mark.parametrize(("name", "place"), PLACES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=["nan", "inf", "-inf"])
def test_a_number_that_is_none_is_named_with_its_place(name, place, value, X, Y):
    bad = spoiled(spoiled(X, 5, 2, value), 9, 1, value)
    with pytest.raises(ValueError, match=rf"(?i)\b{place}\b.*(nan|inf).*row 5\b.*column 2\b"):
        bad_call(name, place, bad, Y)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("row", [0, N - 1])
def test_nan_is_found_in_every_precision_and_at_the_edges(dtype, row, X, Y):
    bad = spoiled(X, row, 3, np.nan).astype(dtype)
    with pytest.raises(ValueError, match=rf"row {row}\b.*column 3\b"):
        cs.cka(bad, Y)


@pytest.mark.parametrize(("name", "place"), [p for p in PLACES if p[0] != "neighbors"])
@pytest.mark.parametrize("value", [0.0, 1.0, 0.1])
def test_constant_embedding(name, place, value, X):
    bad = np.full((N, 4), value)
    with pytest.raises(ValueError, match=rf"\b{place}\b"):
        bad_call(name, place, bad, X)


@pytest.mark.parametrize("name", [p for p in PAIRS if p not in {"cca", "svcca", "pwcca"}])
@pytest.mark.parametrize("offset", [0.1, 1e4])
def test_constant_embedding_with_an_offset_is_constant_in_float32_too(name, offset, X):
    # Column means of equal numbers need not round to that number.
    bad = np.full((N, 4), offset, np.float32) * np.arange(1, 5, dtype=np.float32)
    with pytest.raises(ValueError, match=r"(?i)\bX\b.*(constant|equal|same)"):
        call(name, bad, X)


L2_BY_DEFAULT = ["cknna", "mutual_knn", "jaccard_knn", "cycle_knn", "lcs_knn", "edit_knn"]


@pytest.mark.parametrize("name", L2_BY_DEFAULT)
@pytest.mark.parametrize("place", ["X", "Y"])
def test_a_row_without_direction(name, place, X, Y):
    bad = X.copy()
    bad[7] = 0.0
    with pytest.raises(ValueError, match=rf"\b{place}\b.*row 7\b"):
        bad_call(name, place, bad, Y)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("neighbors", {"distance": "cosine"}),
        ("cka", {"normalize": "l2"}),
        ("cka", {"normalize": "max"}),
        ("mutual_knn", {"normalize": "none", "distance": "cosine"}),
    ],
)
def test_a_row_without_direction_where_it_matters(name, options, X, Y):
    bad = X.copy()
    bad[7] = 0.0
    arrays = (bad,) if name in SINGLES else (bad, Y)
    with pytest.raises(ValueError, match=r"\bX\b.*row 7\b"):
        call(name, *arrays, **options)


@pytest.mark.parametrize("name", ["cka", "distance_correlation", "procrustes", "twonn"])
def test_a_zero_row_is_legal_where_no_direction_is_asked(name, X, Y):
    zero = X.copy()
    zero[7] = 0.0
    assert np.isfinite(with_bad_first(name, zero, Y))


@pytest.mark.parametrize(
    ("name", "options"),
    [("id_correlation", {}), ("cka", {"normalize": "zscore"})],
)
@pytest.mark.parametrize("value", [0.0, 0.3, 1e4])
def test_a_column_that_never_changes_adds_nothing_to_z_scores(name, options, value, X, Y):
    # A dead unit of a network; 0 / 0 must not become a number.
    dead = np.insert(X, 2, value, axis=1)
    found, expected = call(name, dead, Y, **options), call(name, X, Y, **options)
    if name == "id_correlation":
        found, expected = found.value, expected.value
    assert found == pytest.approx(expected, rel=1e-9)


WITH_K = [name for name in EVERY if "k" in EVERY[name]]


@pytest.mark.parametrize("name", WITH_K)
@pytest.mark.parametrize("k", [0, -3])
def test_too_few_neighbors(name, k, X, Y):
    arrays = (X,) if name in SINGLES else (X, Y)
    with pytest.raises(ValueError, match=rf"\bk\b.*{k}"):
        call(name, *arrays, k=k)


@pytest.mark.parametrize("name", WITH_K)
@pytest.mark.parametrize("k", [N, N + 7, 2**40])
def test_more_neighbors_than_others(name, k, X, Y):
    arrays = (X,) if name in SINGLES else (X, Y)
    with pytest.raises(ValueError, match=rf"(?s)\bk\b(?=.*{k})(?=.*{N})"):
        call(name, *arrays, k=k)


@pytest.mark.parametrize("name", WITH_K)
@pytest.mark.parametrize("k", [2.5, "5", None])
def test_a_number_of_neighbors_that_is_no_integer(name, k, X, Y):
    arrays = (X,) if name in SINGLES else (X, Y)
    with pytest.raises(TypeError, match=r"\bk\b"):
        call(name, *arrays, k=k)


@pytest.mark.parametrize("name", WITH_K)
def test_a_numpy_integer_is_a_number_of_neighbors(name, X, Y):
    arrays = (X,) if name in SINGLES else (X, Y)
    call(name, *arrays, k=np.int32(5))


def test_the_maximum_likelihood_needs_two_neighbors(X):
    with pytest.raises(ValueError, match=r"\bk\b.*2.*1"):
        cs.dimension_mle(X, k=1)


@pytest.mark.parametrize(("n1", "n2"), [(0, 2), (2, 2), (3, 2), (-1, 1), (1, N), (N, N + 1)])
def test_gride_needs_two_orders_of_neighbors(n1, n2, X):
    with pytest.raises(ValueError, match=r"\bn[12]\b"):
        cs.gride(X, n1=n1, n2=n2)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cka", {"debiased": True}),
        ("cka", {"debiased": True, "kernel": "rbf"}),
        ("hsic", {"unbiased": True}),
        ("hsic", {"unbiased": True, "kernel": "rbf"}),
        ("distance_correlation", {"unbiased": True}),
        ("cknna", {"variant": "prh-code"}),
    ],
)
@pytest.mark.parametrize("n", [2, 3])
def test_unbiased_estimators_need_four_samples(name, options, n, X, Y):
    options = {**options, "k": n - 1} if name == "cknna" else options
    with pytest.raises(ValueError, match=rf"(?s)(?=.*n_samples)(?=.*\b4\b)(?=.*\b{n}\b)"):
        call(name, X[:n], Y[:n], **options)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("shape", [(0, 4), (N, 0), (0, 0)])
def test_empty(name, shape, Y):
    bad = np.ones(shape)
    other = np.ones((shape[0], 3))
    with pytest.raises(ValueError, match=r"(?i)\bX\b|n_samples|n_features"):
        call(name, bad) if name in SINGLES else call(name, bad, other)


@pytest.mark.parametrize("name", EVERY)
def test_one_sample(name, X, Y):
    arrays = (X[:1],) if name in SINGLES else (X[:1], Y[:1])
    with pytest.raises(ValueError, match=r"n_samples|\bk\b|\bX\b"):
        call(name, *arrays)


@pytest.mark.parametrize(("name", "place"), PLACES)
@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint8, np.bool_])
def test_integers_and_booleans_ask_for_a_conversion(name, place, dtype, X, Y):
    bad = (10 * X).astype(dtype)
    with pytest.raises(TypeError, match=rf"\b{place}\b.*\.astype\((np|numpy)\.float32\)"):
        bad_call(name, place, bad, Y)


@pytest.mark.parametrize(("name", "place"), PLACES)
@pytest.mark.parametrize("dtype", [np.complex128, np.complex64, object, "U8", "M8[s]"])
def test_other_kinds_of_values(name, place, dtype, X, Y):
    kind = np.dtype(dtype)
    bad = (10 * X).astype(np.int64).astype(kind) if kind.kind == "M" else X.astype(kind)
    with pytest.raises(TypeError, match=rf"\b{place}\b.*{re.escape(kind.name)}"):
        bad_call(name, place, bad, Y)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("bad", [None, "embedding.npy", 3.0, {"a": 1}], ids=repr)
def test_things_that_are_no_array(name, bad, Y):
    with pytest.raises(TypeError, match=rf"\bX\b.*{type(bad).__name__}"):
        with_bad_first(name, bad, Y)


@pytest.mark.parametrize("name", EVERY)
def test_masked_entries_are_not_read_as_values(name, X, Y):
    bad = np.ma.masked_array(X, mask=X > 1.0)
    with pytest.raises(TypeError, match=r"(?i)\bX\b.*mask"):
        with_bad_first(name, bad, Y)


@pytest.mark.parametrize("name", EVERY)
def test_duplicates_are_legal(name, X, Y):
    X, Y = X.copy(), Y.copy()
    X[:4] = X[10]
    Y[:4] = Y[10]
    result = with_bad_first(name, X, Y)
    if name == "neighbors":
        assert (result[0] != np.arange(N)[:, None]).all()
        return
    numbers = result[:1] if name == "id_correlation" else result
    assert np.all(np.isfinite(np.atleast_1d(np.asarray(numbers, float))))


@pytest.mark.parametrize("name", ["twonn", "gride", "id_correlation"])
def test_too_few_rows_with_a_ratio(name, Y):
    # Each row has two copies: r1 and r2 are zero everywhere.
    bad = np.repeat(np.random.default_rng(43).standard_normal((8, 4)), 3, axis=0)
    with pytest.raises(ValueError, match=r"\bX\b.*(?i:duplicate|equal|distance|zero)"):
        with_bad_first(name, bad, Y)


CHOICES = [
    ("cknna", "variant", "papers", "paper"),
    ("cknna", "normalize", "l1", "l2"),
    ("mutual_knn", "distance", "l1", "l2"),
    ("mutual_knn", "normalize", "L2", "l2"),
    ("cka", "kernel", "rfb", "rbf"),
    ("cka", "bandwidth", "mean", "median"),
    ("hsic", "kernel", "poly", "linear"),
    ("rsa", "correlation", "kendall", "pearson"),
    ("rsa", "distance", "euclid", "l2"),
    ("twonn", "method", "fits", "fit"),
    ("dimension_mle", "combine", "average", "harmonic"),
    ("neighbors", "distance", "euclidean", "l2"),
]


@pytest.mark.parametrize(("name", "option", "value", "meant"), CHOICES)
def test_an_unknown_choice_is_answered_with_the_known_ones(name, option, value, meant, X, Y):
    arrays = (X,) if name in SINGLES else (X, Y)
    with pytest.raises(ValueError, match=rf"{option}(?=.*{value})(?=.*\b{meant}\b)"):
        call(name, *arrays, **{option: value})


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("cka", "bandwidth", 0.0),
        ("cka", "bandwidth", -1.0),
        ("cka", "bandwidth", float("nan")),
        ("cka", "bandwidth_factor", 0.0),
        ("hsic", "bandwidth_factor", -2.0),
        ("cknna", "eps", -1e-6),
        ("svcca", "variance", 0.0),
        ("svcca", "variance", 1.5),
        ("svcca", "dims", 0),
        ("cca", "rcond", -1.0),
        ("cca", "rcond", 1.0),
        ("twonn", "discard", 1.0),
        ("twonn", "discard", -0.1),
        ("id_correlation", "permutations", -1),
    ],
)
def test_an_option_out_of_range(name, option, value, X, Y):
    arrays = (X,) if name in SINGLES else (X, Y)
    options = {option: value}
    if option.startswith("bandwidth"):
        options["kernel"] = "rbf"
    if option == "eps":
        options["variant"] = "prh-code"
    with pytest.raises(ValueError, match=rf"{option}"):
        call(name, *arrays, **options)


@pytest.mark.parametrize("name", RUN)
@pytest.mark.parametrize("n_threads", [0, -2])
def test_a_number_of_threads_that_is_none(name, n_threads, X, Y):
    arrays = (X,) if name in SINGLES else (X, Y)
    with pytest.raises(ValueError, match=rf"n_threads.*{n_threads}"):
        call(name, *arrays, n_threads=n_threads)


@pytest.mark.parametrize("name", RUN)
def test_an_unknown_backend_is_answered_with_the_known_ones(name, X, Y):
    arrays = (X,) if name in SINGLES else (X, Y)
    with pytest.raises(ValueError, match=r"nativ(?=.*native)(?=.*array)"):
        call(name, *arrays, backend="nativ")


# --- compare ---------------------------------------------------------------------------


def compare(models, **options):
    return cs.compare(models, **{"metrics": ["cka"], "progress": False, **options})


def test_compare_takes_good_input(X, Y):
    assert compare({"one": X, "two": Y}).names == ("one", "two")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_compare_names_the_model_with_its_row_and_column(value, X, Y):
    bad = spoiled(X, 5, 2, value)
    with pytest.raises(ValueError, match=r"(?i)two.*row 5\b.*column 2\b"):
        compare({"one": Y, "two": bad})


def test_compare_names_models_of_different_length(X, Y):
    with pytest.raises(ValueError, match=rf"(?s)(?=.*one)(?=.*two)(?=.*{N})(?=.*{N - 1})"):
        compare({"one": X, "two": Y[:-1]})


@pytest.mark.parametrize("metric", ["cka", "mutual_knn", "cknna", "distance_correlation"])
def test_compare_names_a_constant_model(metric, X):
    with pytest.raises(ValueError, match="two"):
        compare(
            {"one": X, "two": np.ones((N, 3))},
            metrics=[(metric, {"k": 5} if "knn" in metric else {})],
        )


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (np.ones((N, 3), np.int64), TypeError),
        (np.ones((N, 3), complex), TypeError),
        (np.ones(N), (TypeError, ValueError)),
        (np.ones((0, 3)), ValueError),
        (None, TypeError),
    ],
)
def test_compare_names_the_model_that_is_no_embedding(bad, error, X):
    with pytest.raises(error, match="two"):
        compare({"one": X, "two": bad})


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("mutual_nn", "mutual_knn"),
        ("cknn", "cknna"),
        ("distance_corelation", "distance_correlation"),
        ("CKA", "cka"),
    ],
)
def test_an_unknown_metric_is_answered_with_the_nearest(asked, meant, X, Y):
    with pytest.raises(ValueError, match=rf"{asked}.*{meant}"):
        compare({"one": X, "two": Y}, metrics=[asked])


@pytest.mark.parametrize(("asked", "meant"), [("mater", "matter"), ("phr", "prh")])
def test_an_unknown_preset_is_answered_with_the_nearest(asked, meant, X, Y):
    with pytest.raises(ValueError, match=rf"{asked}.*{meant}"):
        cs.compare({"one": X, "two": Y}, preset=asked, progress=False)


def test_a_metric_with_an_unknown_setting(X, Y):
    with pytest.raises((TypeError, ValueError), match=r"neighbours(?=.*\bk\b)"):
        compare({"one": X, "two": Y}, metrics=[("mutual_knn", {"neighbours": 5})])


def test_a_bad_setting_is_found_before_any_work(X, Y):
    with pytest.raises(ValueError, match=rf"(?s)\bk\b(?=.*{N})"):
        compare({"one": X, "two": Y}, metrics=["cka", ("mutual_knn", {"k": N})])


def test_compare_needs_models(X):
    with pytest.raises((TypeError, ValueError), match="model"):
        compare({})
    with pytest.raises(TypeError, match=r"(?i)dict|mapping|name"):
        compare([X, X])


def test_metrics_and_preset_exclude_each_other(X, Y):
    with pytest.raises((TypeError, ValueError), match=r"(?s)(?=.*metrics)(?=.*preset)"):
        cs.compare({"one": X, "two": Y}, metrics=["cka"], preset="matter", progress=False)


def test_an_unknown_label_of_a_finished_comparison(X, Y):
    m = compare({"one": X, "two": Y})
    with pytest.raises(KeyError, match="cka"):
        m["ckaa"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 700, 1999])
def test_one_bad_entry_is_found_wherever_it_is(value, row, rng):
    # More entries than the gate looks at together.
    X = rng.standard_normal((2000, 200)).astype(np.float32)
    X[row, 199] = value
    with pytest.raises(ValueError, match=f"at row {row}, column 199"):
        cs.cka(X, X)


@pytest.mark.parametrize("n_threads", [None, 1, 3])
def test_of_several_bad_arrays_the_first_is_told(monkeypatch, n_threads):
    monkeypatch.setattr(_validate, "LARGE", 0)
    arrays = [(name, np.arange(12.0).reshape(4, 3)) for name in "abcd"]
    assert [s.name for s in as_embeddings(arrays, n_threads)] == list("abcd")
    arrays[1][1][2, 1] = np.nan
    arrays[3][1][0, 0] = np.inf
    with pytest.raises(ValueError, match="`b` has NaN at row 2, column 1"):
        as_embeddings(arrays, n_threads)


def verdict(X):
    try:
        return _validate.as_embedding(X, "X").dtype
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -np.inf, 9e34, -1.1e35, 1e-36])
def test_few_entries_are_judged_as_many_are(monkeypatch, dtype, value, X):
    cases = [X.copy() for _ in range(5)]
    for case, place in zip(cases, [(0, 0), (N - 1, 0), (5, 3), (slice(None), 0)], strict=False):
        case[place] = value
    cases[-1] *= value
    cases = [case.astype(dtype) for case in cases]
    few = [verdict(case) for case in cases]
    monkeypatch.setattr(_validate, "FEW", 0)
    assert few == [verdict(case) for case in cases]
    assert {np.dtype(dtype).name} != set(few)  # the last, or all, are refused
