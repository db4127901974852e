"""Tokens become one row, and hooks bring out what flows through a module."""

import numpy as np
import pytest

from consilience.models._hooks import Tap, Taps, first_tensor, split_padded, split_rows
from consilience.models._network import POOLINGS, RowFunction, States, pool_layer

TOKENS = [np.array([[1.0, 2.0], [3.0, 6.0], [8.0, 1.0]]), np.array([[5.0, 7.0]])]


@pytest.mark.parametrize(
    ("pooling", "first"),
    [("mean", [4.0, 3.0]), ("sum", [12.0, 9.0]), ("cls", [1.0, 2.0]), ("last", [8.0, 1.0])],
)
def test_pooling(pooling, first):
    rows = pool_layer(States({"a": TOKENS}), "a", pooling)
    np.testing.assert_array_equal(rows, [first, [5.0, 7.0]])
    assert rows.dtype == np.float32


def test_a_leading_token_is_what_cls_means_where_there_is_one():
    states = States({"a": TOKENS, "b": TOKENS}, leading={"a": np.array([[9.0, 9.0], [0.5, 0.5]])})
    np.testing.assert_array_equal(pool_layer(states, "a", "cls"), [[9.0, 9.0], [0.5, 0.5]])
    np.testing.assert_array_equal(pool_layer(states, "b", "cls"), [[1.0, 2.0], [5.0, 7.0]])
    assert pool_layer(states, "a", "mean")[0].tolist() == [4.0, 3.0]


def test_means_of_many_half_precision_tokens_do_not_overflow():
    tokens = np.full((5000, 2), 100.0, dtype=np.float16)
    assert pool_layer(States({"a": [tokens]}), "a", "mean").tolist() == [[100.0, 100.0]]
    assert pool_layer(States({"a": [tokens]}), "a", "sum").tolist() == [[500_000.0, 500_000.0]]


@pytest.mark.parametrize("odd", [np.zeros((0, 2)), np.zeros((2, 3)), np.zeros(2)])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_sample_without_tokens_or_of_another_width_is_refused(odd, pooling):
    with pytest.raises(ValueError, match=r"'a' gave shape .* for sample 2 .* expected \(n_tokens"):
        pool_layer(States({"a": [*TOKENS, odd]}), "a", pooling)


def test_a_function_gives_one_row_per_value():
    network = RowFunction(lambda values: [[len(value), 1] for value in values])
    states = network.run(["ab", "c"], network.layers)
    assert pool_layer(states, "rows", "mean").tolist() == [[2.0, 1.0], [1.0, 1.0]]
    with pytest.raises(ValueError, match=r"shape \(3,\), expected \(2, width\)"):
        RowFunction(lambda values: [1, 2, 3]).run(["a", "b"], ["rows"])


def test_rows_of_all_samples_are_cut_into_samples():
    rows = np.arange(12).reshape(6, 2)
    parts = split_rows(rows, [1, 3, 2])
    assert [part.tolist() for part in parts] == [
        rows[:1].tolist(),
        rows[1:4].tolist(),
        rows[4:].tolist(),
    ]
    with pytest.raises(ValueError, match=r"shape \(6, 2\), expected \(5, width\)"):
        split_rows(rows, [1, 3, 1])


def test_padding_and_special_tokens_are_cut_off():
    padded = np.arange(24).reshape(2, 4, 3)
    first, second = split_padded(padded, [2, 1], start=1)
    np.testing.assert_array_equal(first, padded[0, 1:3])
    np.testing.assert_array_equal(second, padded[1, 1:2])
    with pytest.raises(ValueError, match=r"expected \(2, at least 5, width\)"):
        split_padded(padded, [4, 1], start=1)


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def module(torch):
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))


def test_taps_read_outputs_and_inputs(torch, module):
    taps = Taps(module, {"hidden": "0", "readout": Tap("2", "input")})
    assert taps.layers == ("hidden", "readout")
    values = torch.randn(4, 2)
    with taps.read(taps.layers) as found:
        module(values)
    torch.testing.assert_close(found["hidden"], module[0](values))
    torch.testing.assert_close(found["readout"], torch.relu(module[0](values)))
    assert not found["hidden"].requires_grad


def test_hooks_are_taken_off_even_when_the_module_fails(torch, module):
    taps = Taps(module, {"hidden": "0"})
    with pytest.raises(RuntimeError), taps.read(["hidden"]):
        module(torch.randn(4, 9))
    with taps.read(["hidden"]) as found:
        module(torch.randn(4, 2))
    hidden = found["hidden"]
    module(torch.randn(5, 2))
    assert found["hidden"] is hidden


def test_a_submodule_that_is_not_there_or_does_not_run(torch, module):
    with pytest.raises(ValueError, match="no submodule 'head'; there are: 0, 1, 2"):
        Taps(module, {"hidden": "head"})
    taps = Taps(module, {"hidden": "2"})
    with pytest.raises(RuntimeError, match="'hidden' did not run"), taps.read(["hidden"]):
        module[0](torch.randn(4, 2))


def test_the_first_tensor_is_taken_out_of_tuples_and_mappings(torch):
    tensor = torch.ones(2)
    assert first_tensor((None, tensor)) is tensor
    assert first_tensor({"loss": None, "states": tensor}) is tensor
    for value in ("text", 3, [1]):
        with pytest.raises(TypeError, match="a hook found"):
            first_tensor(value)
