"""Networks written here read the weights of packages as the code that trained them would."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from consilience import models
from consilience.datasets import Atoms, Backbone, Samples
from family_atoms import (
    ICE,
    METHANOL,
    check_batches_do_not_matter,
    check_invariance,
    rows_of,
    samples_of,
)
from model_samples import eight_molecules

torch = pytest.importorskip("torch", reason="torch is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")


# N, CA, C and O of an alpha helix: radius, angle, height. 100 degrees and 1.5 Å a residue.
HELIX = np.array([(1.55, -28.0, -0.90), (2.28, 0.0, 0.0), (1.65, 26.0, 1.15), (2.05, 22.0, 2.36)])


def helix(n_residues):
    """Return N, CA, C and O of an ideal alpha helix."""
    number = np.arange(n_residues)[:, None]
    radius, angle, height = HELIX.T
    turned = np.deg2rad(angle + 100.0 * number)
    x, y = radius * np.cos(turned), radius * np.sin(turned)
    return np.stack([x, y, height + 1.5 * number], axis=-1).astype(np.float32)


def network_of(name):
    found = models.find_model(name)
    if sentence := models.available(found):
        pytest.skip(sentence)
    return found.load(checkpoint=found.checkpoint, device="cpu")


def random_cells(rng, n_layers=2, n_in=10, width=6):
    weights = {"embedding": rng.standard_normal((26, n_in))}
    for number in range(n_layers):
        shapes = {"x": (n_in, 4 * width), "h": (width, 4 * width)}
        shapes |= {"mx": (n_in, width), "mh": (width, width)}
        for name, shape in shapes.items():
            weights[f"mlstm.{number}.w{name}"] = rng.standard_normal(shape)
            weights[f"mlstm.{number}.g{name}"] = rng.standard_normal(shape[1])
        weights[f"mlstm.{number}.b"] = rng.standard_normal(4 * width)
        n_in = width
    return weights


def read_by_definition(weights, sequence, n_layers=2):
    """Step through a multiplicative LSTM with normalised weights, one number after another."""
    from consilience.models.unirep import RESIDUES, START, UNKNOWN

    def normal(key):
        number, name = key
        w = weights[f"mlstm.{number}.w{name}"]
        return w / np.sqrt((w**2).sum(axis=0)) * weights[f"mlstm.{number}.g{name}"]

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    inputs = weights["embedding"][[START, *(RESIDUES.get(r, UNKNOWN) for r in sequence)]]
    for number in range(n_layers):
        x, h, mx, mh = (normal((number, name)) for name in ("x", "h", "mx", "mh"))
        hidden = memory = np.zeros(len(mh))
        outputs = []
        for step in inputs:
            product = (step @ mx) * (hidden @ mh)
            gates = step @ x + product @ h + weights[f"mlstm.{number}.b"]
            i, f, o, u = np.split(gates, 4)
            memory = sigmoid(f) * memory + sigmoid(i) * np.tanh(u)
            hidden = sigmoid(o) * np.tanh(memory)
            outputs.append(hidden)
        inputs = np.array(outputs)
    return inputs[1:]


def test_unirep_is_a_multiplicative_lstm_whatever_the_lengths_of_a_batch():
    from consilience.models.unirep import _Cell, _UniRep

    weights = random_cells(np.random.default_rng(0))
    tensors = {name: torch.tensor(array) for name, array in weights.items()}
    cells = [_Cell.of(tensors, f"mlstm.{number}.") for number in range(2)]
    network = _UniRep(tensors["embedding"], cells, "cpu")
    sequences = ["ACDE", "MKVLAX", "W", "GGGGGGGG"]
    states = network.run(sequences, network.layers)
    for sequence, found in zip(sequences, states.layers["layer-2"], strict=True):
        np.testing.assert_allclose(found, read_by_definition(weights, sequence), atol=1e-12)


def test_annalog_computes_what_the_layers_of_its_package_do():
    """Attention and feed-forward written out, on the weights that the package ships."""
    network = network_of("annalog")
    (first, second) = ("layer-1", "layer-2")
    states = network.run(["CC(=O)Nc1ccccc1", "CCO"], (first, second))
    layer = network.encoder["layers"][1]
    # All tokens are needed, those at the ends too, so the step is done over the whole string.
    token_ids = torch.tensor([network._token_ids("CC(=O)Nc1ccccc1")])
    with torch.inference_mode():
        x = network._hidden(token_ids)[1][0].double()
        w, b = layer.self_attn.in_proj_weight.double(), layer.self_attn.in_proj_bias.double()
        q, k, v = ((x @ w.T + b).reshape(len(x), 3, 8, 32)).unbind(1)
        attention = torch.softmax(torch.einsum("ihd,jhd->hij", q, k) / 32**0.5, dim=-1)
        mixed = torch.einsum("hij,jhd->ihd", attention, v).reshape(len(x), 256)
        out = layer.double()
        x = out.norm1(x + out.self_attn.out_proj(mixed))
        x = out.norm2(x + out.linear2(torch.relu(out.linear1(x))))
    np.testing.assert_allclose(states.layers[second][0], x[1:-1].numpy(), atol=1e-5)


def test_annalog_says_which_string_is_too_long():
    network_of("annalog")
    with pytest.raises(models.ModelError, match=r"has 120 tokens, this encoder reads 100"):
        list(models.embed("annalog", Samples(("a",), {"smiles": ["C" * 120]})))


def test_a_vocabulary_with_code_in_it_is_refused(tmp_path):
    from consilience.models.annalog import _vocabulary

    (tmp_path / "good.pkl").write_bytes(pickle.dumps({"stoi": {"C": 4}, "itos": ["C"]}))
    assert _vocabulary(tmp_path / "good.pkl") == {"C": 4}
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps({"stoi": print}))
    with pytest.raises(pickle.UnpicklingError, match=r"asks for builtins\.print"):
        _vocabulary(tmp_path / "bad.pkl")


def test_messages_of_the_last_step_are_what_chemprop_gives_the_readout():
    network = network_of("dmpnn-admet-regression")
    from chemprop.data import BatchMolGraph
    from rdkit import Chem

    smiles = [*eight_molecules().columns["smiles"], "C", "[Na+].[Cl-]"]
    states = network.run(smiles, network.layers)
    graph = BatchMolGraph([network.featurize(Chem.MolFromSmiles(s)) for s in smiles])
    with torch.inference_mode():
        expected = network.passing(graph).numpy()
    np.testing.assert_allclose(np.concatenate(states.layers["atoms"]), expected, atol=1e-6)
    assert not states.layers["messages-0"][8].any(), "methane has no bonds"


def test_proteinmpnn_reads_the_fold_and_not_the_sequence():
    network = network_of("proteinmpnn")
    one, two = Backbone("A" * 40, helix(40)), Backbone("W" * 40, helix(40))
    rotation, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))
    rotation *= np.linalg.det(rotation)
    turned = Backbone("A" * 40, (helix(40) @ rotation + 5).astype(np.float32))
    a, b, c = network.run([one, two, turned], ["layer-3"]).layers["layer-3"]
    np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(a, c, atol=1e-3)


def test_proteinmpnn_ca_reads_the_ca_atoms_alone():
    network = network_of("proteinmpnn-ca")
    moved = helix(40)
    moved[:, [0, 2, 3]] += 0.5
    pair = [Backbone("A" * 40, helix(40)), Backbone("A" * 40, moved)]
    a, b = network.run(pair, ["layer-3"]).layers["layer-3"]
    np.testing.assert_array_equal(a, b)


def test_rotated_features_of_gguf_are_put_back_into_halves():
    from consilience.models.smollm2 import _halves

    # Two heads of four features: GGUF keeps the partners 0 and 2, 1 and 3 side by side.
    stored = np.array([0, 2, 1, 3, 10, 12, 11, 13])[:, None] * np.ones((1, 3))
    found = _halves(stored.astype(np.float32), 2)
    assert found[:, 0].tolist() == [0, 1, 2, 3, 10, 11, 12, 13]


def test_smollm2_reads_names_as_it_reads_any_text_and_digits_stand_alone():
    network = network_of("smollm2-name")
    (one,) = network.run(["10,11-dihydro"], ("embedding",)).layers["embedding"]
    assert len(one) > 5
    np.testing.assert_array_equal(one[0], one[3])  # 1, of ten and of eleven
    names, smiles = models.MODELS["smollm2-name"], models.MODELS["smollm2"]
    assert (names.representation, smiles.representation) == ("name", "smiles")
    assert names.load is smiles.load


@pytest.mark.parametrize("name", ["ani-1x", "so3lr"])
def test_a_crystal_of_molecules_is_the_same_in_any_cell(name):
    network_of(name)
    cell = np.array([[7.0, 0.4, 0.0], [0.0, 6.5, 0.0], [0.0, 0.0, 6.8]])
    always = (True, True, True)
    one = Atoms(METHANOL.numbers, METHANOL.positions, cell, always)
    both = np.concatenate([one.positions, one.positions + cell[2]])
    two = Atoms(np.tile(one.numbers, 2), both, cell * [[1], [1], [2]], always)
    rows, outputs = rows_of(name, samples_of(one, two, METHANOL))
    np.testing.assert_allclose(rows[1], rows[0], rtol=1e-4, atol=1e-5)
    assert outputs["energy_ev"][1] == pytest.approx(2 * outputs["energy_ev"][0], rel=1e-6)
    assert abs(outputs["energy_ev"][2] - outputs["energy_ev"][0]) > 1e-3, "images are seen"
    check_batches_do_not_matter(name, samples_of(one, METHANOL, ICE))
    check_invariance(name, one)


def test_soap_is_the_same_for_any_set_of_elements_it_could_know():
    network = network_of("soap")
    from dscribe.descriptors import SOAP

    from consilience.models._atomistic import to_ase

    atoms = eight_molecules().columns["atoms"][0]
    few = SOAP(
        r_cut=5.0,
        n_max=8,
        l_max=6,
        sigma=0.5,
        species=[1, 6, 7],
        compression={"mode": "mu2", "species_weighting": {z: z**0.5 for z in (1, 6, 7)}},
    )
    (found,) = network.run([atoms], network.layers).layers["power-spectrum"]
    np.testing.assert_allclose(found, few.create(to_ase(atoms)), rtol=1e-9, atol=1e-9)
