"""All analyses of one part: which scores and facts each of them gets, and what is possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience.datasets import Samples
from consilience.study import analyses
from consilience.study.compare import compare
from consilience.study.plan import PartPlan
from consilience.study.result import Part
from consilience.study.score_matrix import ScoreMatrix, Scores

GROUPINGS = ("modality", "family", "architecture", "embedding", "training_data")
FACTORS = {"training data": "training_data", "architecture": "architecture", "modality": "modality"}
MLE_KS = (5, 10, 20, 50, 100)
GLOBAL = ("distance_correlation", {"unbiased": True})
MOST_NEIGHBORS = 4  # a neighbourhood is at most a quarter of the samples


@dataclass(frozen=True, eq=False)
class Context:
    """What the analyses of a part may read.

    Attributes
    ----------
    plan : PartPlan
    matrix : ScoreMatrix
        Of all models, baselines included.
    facts : sequence of dict
        Of each model, in the order of the matrix.
    arrays : mapping of str to array of shape (n_samples, n_features)
        Embeddings by model, rows aligned.
    samples : Samples
        What was embedded, in row order.
    energies : mapping of str to array of shape (n_samples,)
        Total energies in eV that models predict.
    layers : mapping of (str, str) to ({layer: array}, {layer: array})
        All layers of the pairs that the plan names, rows aligned.
    device, max_memory
        Where embeddings are compared, and in how much memory.
    """

    plan: PartPlan
    matrix: ScoreMatrix
    facts: Sequence[Mapping[str, Any]]
    arrays: Mapping[str, NDArray[Any]]
    samples: Samples
    energies: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    layers: Mapping[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = field(
        default_factory=dict
    )
    device: str = "auto"
    max_memory: int | None = None

    @property
    def run(self) -> dict[str, Any]:
        """Return how to compare."""
        return {"device": self.device, "max_memory": self.max_memory}

    @property
    def real(self) -> tuple[str, ...]:
        """Names of the models that are no baselines."""
        return tuple(str(f["name"]) for f in self.facts if not f.get("baseline"))

    def real_facts(self) -> list[Mapping[str, Any]]:
        """Return the facts of the models that are no baselines."""
        return [f for f in self.facts if not f.get("baseline")]

    def of_real(self) -> ScoreMatrix:
        """Return the scores among models that are no baselines."""
        if len(self.real) < 2:
            raise ValueError("fewer than two models are no baselines")
        return self.matrix.subset(self.real)

    def headline(self, matrix: ScoreMatrix) -> Scores:
        """Return the first scores of pairs."""
        for scores in matrix.scores.values():
            if scores.kind == "pair":
                return scores
        raise ValueError("no metric of pairs was asked for")


def analyze(
    context: Context, say: Callable[[str], None] = lambda line: None
) -> tuple[dict[str, Any], list[str]]:
    """Return the analyses that are possible, JSON-able, and why others are not."""
    found: dict[str, Any] = {}
    notes: list[str] = []
    for name in context.plan.analyses:
        try:
            result = _ANALYSES[name](context)
        except ValueError as error:
            notes.append(f"The analysis “{name}” was not possible: {error}.")
            say(f"  {name}: not possible, {error}")
            continue
        if result:
            found[name] = result
            say(f"  {name}: done")
    return found, notes


def regimes(inside: Part, outside: Part) -> list[dict[str, Any]]:
    """Compare the alignment of the same models in two parts, by every metric of both."""
    found = []
    for label, scores in inside.matrix.scores.items():
        if scores.kind == "single" or label not in outside.matrix:
            continue
        names = [
            str(model["name"])
            for model in inside.models
            if not model.get("baseline") and model["name"] in outside.matrix.names
        ]
        if len(names) < 3:
            raise ValueError(f"{inside.name} and {outside.name} share fewer than three models")
        found.append(
            analyses.compare_regimes(
                inside.matrix.subset(names).scores[label],
                outside.matrix.subset(names).scores[label],
                names,
                names,
                inside_name=inside.title,
                outside_name=outside.title,
            ).to_json()
        )
    return found


def performance_of(context: Context) -> dict[str, float | None]:
    """Return the performance of each model, by the plan; empty if it names none."""
    wanted = context.plan.performance
    if wanted is None:
        return {}
    if not wanted.energy:
        return {name: wanted.values.get(name) for name in context.real}
    from consilience.datasets import compositions

    truth = context.samples.labels.get("energy_ev")
    if truth is None:
        raise ValueError("the samples have no reference energies")
    _, counts = compositions(context.samples)
    return {
        name: analyses.energy_mae(truth, context.energies[name], counts)
        for name in context.real
        if name in context.energies
    }


def _condensed(context: Context) -> list[dict[str, Any]]:
    scores = context.headline(context.matrix)
    baselines = [bool(fact.get("baseline")) for fact in context.facts]
    found = []
    for by in GROUPINGS:
        groups = [fact.get(by) or None for fact in context.facts]
        known = {g for g, b in zip(groups, baselines, strict=True) if g and not b}
        if len(known) > 1:
            result = analyses.condensed(scores, groups, baselines=baselines, by=by)
            found.append(result.to_json())
    return found


def _convergence(context: Context) -> list[dict[str, Any]]:
    wanted = context.plan.performance
    if wanted is None:
        return []
    performance = performance_of(context)
    matrix, facts = context.of_real(), context.real_facts()
    labels = [label for label, s in matrix.scores.items() if s.kind == "pair"]
    return [
        analyses.convergence(
            matrix.scores[label],
            matrix.names,
            performance,
            performance_label=wanted.label,
            lower_is_better=wanted.lower_is_better,
            parameters=[fact.get("parameters") or None for fact in facts],
            families=[fact.get("family") for fact in facts],
            training_size=[fact.get("training_size") for fact in facts],
        ).to_json()
        for label in labels
    ]


def _plane(context: Context) -> list[dict[str, Any]]:
    matrix, facts = context.of_real(), context.real_facts()
    colours = [label for label, s in matrix.scores.items() if s.kind == "pair"]
    return [
        analyses.imbalance_plane(
            matrix,
            label,
            colours,
            training_data=[fact.get("training_data") for fact in facts],
            architectures=[fact.get("architecture") for fact in facts],
        ).to_json()
        for label, scores in matrix.scores.items()
        if scores.metric == "information_imbalance"
    ]


def _partition(context: Context) -> list[dict[str, Any]]:
    matrix, facts = context.of_real(), context.real_facts()
    factors = {
        name: values
        for name, key in FACTORS.items()
        if len(set(values := [fact.get(key) or None for fact in facts])) > 1
    }
    if not factors:
        raise ValueError("the models differ in nothing that is known of them")
    return [
        analyses.explain(scores, factors).to_json()
        for scores in matrix.scores.values()
        if scores.kind == "pair"
    ]


def _locality(context: Context) -> dict[str, Any]:
    """Score a sample of the samples at every k that leaves most of them out."""
    rows = _drawn(context, context.plan.locality_samples)
    ks = [k for k in context.plan.ks if k <= len(rows) // MOST_NEIGHBORS]
    if len(ks) < 2:
        raise ValueError(f"fewer than two of k = {context.plan.ks} fit {len(rows)} samples")
    arrays = {name: np.asarray(context.arrays[name])[rows] for name in context.real}
    requests = [("cknna", {"k": k}) for k in ks]
    matrix = compare(arrays, [*requests, GLOBAL], null=None, intervals=None, **context.run)
    by_k = dict(zip(ks, matrix.metrics, strict=False))
    found = analyses.locality(matrix, by_k).to_json()
    return {**found, "n_samples": len(rows)}


def _drawn(context: Context, most: int) -> NDArray[np.int64]:
    """Return the places of at most so many samples, drawn by the seed, in order."""
    n = len(context.samples)
    order = np.random.default_rng(context.plan.seed).permutation(n)
    return np.sort(order[: min(n, most)])


def _dimension(context: Context) -> dict[str, Any]:
    ks = [k for k in MLE_KS if k < len(context.samples)]
    requests: list[tuple[str, dict[str, Any]]] = [("twonn", {"method": "fit"})]
    requests += [("dimension_mle", {"k": k}) for k in ks]
    matrix = compare(
        dict(context.arrays),
        requests,
        neighbors=context.plan.neighbors,
        rows=context.plan.rows,
        null=None,
        intervals=None,
        **context.run,
    )
    types = [str(fact.get("embedding") or "") for fact in context.facts]
    return analyses.dimension(matrix, matrix.metrics, types).to_json()


def _tree(context: Context) -> dict[str, Any]:
    matrix = context.of_real()
    return analyses.tree(context.headline(matrix), matrix.names).to_json()


def _maps(context: Context) -> list[dict[str, Any]]:
    rows = _drawn(context, context.plan.map_samples)
    found = []
    matrix = context.of_real()
    if len(matrix.names) > 2:
        distances = analyses.tree(context.headline(matrix), matrix.names).distances
        modalities = [fact.get("modality") for fact in context.real_facts()]
        found.append(
            analyses.model_map(
                distances, matrix.names, colors=modalities, colored_by="modality"
            ).to_json()
        )
    label, colors = _colors(context.samples)
    for name in context.real:
        mapped = analyses.sample_map(
            np.asarray(context.arrays[name])[rows],
            ids=[context.samples.ids[i] for i in rows],
            colors=None if colors is None else [_rounded(colors[i]) for i in rows],
            colored_by=label,
            name=name,
        )
        found.append(_short(mapped.to_json()))
    return found


def _colors(samples: Samples) -> tuple[str | None, NDArray[np.float64] | None]:
    """Colour samples by their number of atoms or residues."""
    for column, label in (("atoms", "atoms"), ("sequence", "residues"), ("smiles", "characters")):
        if column in samples.columns:
            return label, np.array([len(v) for v in samples.columns[column]], float)
    return None, None


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _short(mapped: dict[str, Any]) -> dict[str, Any]:
    """Round the places of a map: they mean nothing beyond three digits, and the page is read."""
    points = [{**p, "x": round(p["x"], 3), "y": round(p["y"], 3)} for p in mapped["points"]]
    return {**mapped, "points": points}


def _recommendation(context: Context) -> dict[str, Any]:
    matrix = context.of_real()
    try:
        performance = performance_of(context)
    except ValueError:
        performance = {}
    wanted = context.plan.performance
    return analyses.recommendation(
        context.headline(matrix),
        matrix.names,
        context.real_facts(),
        performance or None,
        lower_is_better=wanted.lower_is_better if wanted else True,
    ).to_json()


def _layers(context: Context) -> list[dict[str, Any]]:
    found = []
    for (a, b), (layers_a, layers_b) in context.layers.items():
        k = min(25, len(next(iter(layers_a.values()))) // 4)
        result = analyses.layers(layers_a, layers_b, "cknna", {"k": k}, a=a, b=b, **context.run)
        found.append(result.to_json())
    return found


_ANALYSES: dict[str, Callable[[Context], Any]] = {
    "condensed": _condensed,
    "convergence": _convergence,
    "plane": _plane,
    "partition": _partition,
    "locality": _locality,
    "dimension": _dimension,
    "tree": _tree,
    "maps": _maps,
    "recommendation": _recommendation,
    "layers": _layers,
}
