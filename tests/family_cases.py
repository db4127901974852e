"""What every transformer adapter must do, checked on a tiny random model saved as a user would."""

from __future__ import annotations

import numpy as np

from consilience import models
from consilience.datasets import Samples


def samples_of(column, values):
    return Samples(ids=tuple(f"s{i}" for i in range(len(values))), columns={column: list(values)})


def rows_of(name, samples, **options):
    return np.concatenate([batch.rows for batch in models.embed(name, samples, **options)])


def hand_states(module, ids):
    """Return the hidden states of one sample without padding, one array a layer."""
    import torch

    with torch.no_grad():
        out = module.eval()(input_ids=torch.tensor([ids]), output_hidden_states=True)
    return [*(h[0].numpy() for h in out.hidden_states[:-1]), out.last_hidden_state[0].numpy()]


def check_against_hand(name, column, values, module, tokens):
    """Compare every layer and pooling with states computed one sample at a time.

    `tokens(value)` gives the ids of a value and the slice of them that stands for it.
    """
    samples = samples_of(column, values)
    layers = models.layers_of(name)
    by_hand = []
    for value in values:
        ids, kept = tokens(value)
        by_hand.append([(h[kept], h[0]) for h in hand_states(module, ids)])
    poolings = {
        "mean": lambda kept, first: kept.mean(0),
        "sum": lambda kept, first: kept.sum(0),
        "last": lambda kept, first: kept[-1],
    }
    for pooling, pool in poolings.items():
        batches = list(models.embed_layers(name, samples, pooling=pooling, batch_size=len(values)))
        assert [layers, len(batches)] == [tuple(batches[0].rows), 1]
        for number, layer in enumerate(layers):
            expected = np.stack([pool(*states[number]) for states in by_hand])
            np.testing.assert_allclose(
                batches[0].rows[layer], expected, rtol=2e-4, atol=2e-5, err_msg=f"{layer} {pooling}"
            )
    return samples


def check_batches_do_not_matter(name, samples):
    one = rows_of(name, samples, batch_size=1)
    for batch_size in (2, len(samples)):
        np.testing.assert_allclose(
            rows_of(name, samples, batch_size=batch_size), one, rtol=2e-4, atol=2e-5
        )
    assert len({row.tobytes() for row in one}) == len(samples), "samples are told apart"
