"""What a study is to do: read from YAML, JSON or a mapping, and judged before anything runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from consilience._files import check_file_name
from consilience._validate import check_choice, check_integer
from consilience.datasets import find_dataset
from consilience.metrics import METRICS, PRESETS
from consilience.metrics._graph import METHODS
from consilience.models import MODELS, find_model
from consilience.needs import Method
from consilience.study._plan_file import read_words

ANALYSES = (
    "condensed",
    "convergence",
    "plane",
    "partition",
    "locality",
    "dimension",
    "tree",
    "maps",
    "recommendation",
    "layers",
)

# What is taken from a part as it stands.
SIMPLE = (
    "n",
    "seed",
    "title",
    "description",
    "preset",
    "neighbors",
    "rows",
    "layer_samples",
    "map_samples",
    "locality_samples",
)


@dataclass(frozen=True)
class ModelPlan:
    """One model in one part.

    Attributes
    ----------
    name : str
        What it is called in this study.
    model : str
        Registered name, or ``NAME:WEIGHTS``; empty if `store` is given.
    store : str
        Folder of embeddings made elsewhere.
    layer, pooling : str or None
        Another hidden layer or pooling than the model's own.
    batch_size : int or None
    python : str
        Interpreter of another environment in which Consilience and the model are installed.
    facts : dict
        Anything to say of a model with a `store` of its own (family, modality, …).
    """

    name: str
    model: str = ""
    store: str = ""
    layer: str | None = None
    pooling: str | None = None
    batch_size: int | None = None
    python: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bool(self.model) == bool(self.store):
            raise ValueError(f"model {self.name!r} must have either `model` or `store`")
        check_file_name(self.name, "a model's name")
        if self.model:
            find_model(self.model)
        if self.batch_size is not None:
            check_integer(self.batch_size, f"batch_size of {self.name}", 1)


@dataclass(frozen=True)
class Performance:
    """How good models are, for the convergence analysis.

    Attributes
    ----------
    label : str
        For example "energy MAE, eV/atom".
    lower_is_better : bool
    values : dict of str to float
        By model. Empty with `energy`: then the mean absolute error of the energies that
        potentials predict, after a linear composition model is taken away.
    energy : bool
    """

    label: str = "energy MAE (eV/atom)"
    lower_is_better: bool = True
    values: dict[str, float] = field(default_factory=dict)
    energy: bool = True


@dataclass(frozen=True)
class PartPlan:
    """One dataset and the models that embed it.

    Without `data`, every model must be a store of embeddings made elsewhere. How neighbours are
    found, `neighbors` and `rows`, is as in `compare`.
    """

    name: str
    data: str
    models: tuple[ModelPlan, ...]
    n: int | None = None
    seed: int = 0
    title: str = ""
    description: str = ""
    preset: str = ""
    neighbors: Method = "exact"
    rows: int | None = None
    metrics: tuple[tuple[str, dict[str, Any]], ...] = ()
    performance: Performance | None = None
    analyses: tuple[str, ...] = ANALYSES
    layers: tuple[tuple[str, str], ...] = ()
    layer_samples: int = 500
    ks: tuple[int, ...] = (2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500)
    map_samples: int = 1000
    locality_samples: int = 2000

    def __post_init__(self) -> None:
        check_file_name(self.name, "a part's name")
        self._check_data()
        if self.n is not None:
            check_integer(self.n, f"n of {self.name}", 8)
        names = [model.name for model in self.models]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"part {self.name!r} has model {name!r} twice; name one anew")
        if len(names) < 2:
            raise ValueError(f"part {self.name!r} must have at least two models, got {names}")
        if self.preset:
            check_choice(self.preset, "preset", PRESETS)
        check_choice(self.neighbors, f"neighbors of {self.name}", METHODS)
        if self.rows is not None:
            check_integer(self.rows, f"rows of {self.name}", 3)
        for metric, _ in self.metrics:
            check_choice(metric, "metric", METRICS)
        for analysis in self.analyses:
            check_choice(analysis, f"analyses of {self.name}", ANALYSES)
        for pair in self.layers:
            for name in pair:
                check_choice(name, f"layers of {self.name}", names)

    def _check_data(self) -> None:
        if self.data:
            find_dataset(self.data.partition(":")[0])
        elif any(model.model for model in self.models):
            model = next(model for model in self.models if model.model)
            raise ValueError(
                f"part {self.name!r} must say its `data` (a dataset, or DATASET:PATH): "
                f"{model.name} has to embed it"
            )


@dataclass(frozen=True)
class StudyPlan:
    """A whole study.

    Attributes
    ----------
    title, description : str
    parts : tuple of PartPlan
    regimes : tuple of (str, str)
        Pairs of parts, inside and outside what the models were trained on.
    """

    title: str
    description: str = ""
    parts: tuple[PartPlan, ...] = ()
    regimes: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        names = [part.name for part in self.parts]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"a study needs parts of different names, got {names}")
        for pair in self.regimes:
            for name in pair:
                check_choice(name, "regimes", names)

    def part(self, name: str | None = None) -> PartPlan:
        """Return the part called `name`; the only one by default."""
        if name is None:
            if len(self.parts) > 1:
                known = ", ".join(part.name for part in self.parts)
                raise ValueError(f"the study has parts {known}: say which with --part")
            return self.parts[0]
        check_choice(name, "part", [part.name for part in self.parts])
        return next(part for part in self.parts if part.name == name)

    def with_model(self, part: str | None, model: ModelPlan) -> StudyPlan:
        """Return the plan with one more model in a part."""
        old = self.part(part)
        new = replace(old, models=(*old.models, model))
        return replace(self, parts=tuple(new if p.name == old.name else p for p in self.parts))

    def with_n(self, n: int) -> StudyPlan:
        """Return the plan with at most n samples in every part."""
        parts = [replace(p, n=n if p.n is None else min(p.n, n)) for p in self.parts]
        return replace(self, parts=tuple(parts))

    def to_json(self) -> dict[str, Any]:
        """Return what `from_mapping` reads."""
        body = asdict(self)
        for part in body["parts"]:
            part["metrics"] = [{name: settings} for name, settings in part["metrics"]]
        body["parts"] = {part.pop("name"): part for part in body["parts"]}
        return json.loads(json.dumps(body))  # type: ignore[no-any-return]

    @classmethod
    def from_mapping(cls, body: Mapping[str, Any]) -> StudyPlan:
        """Read a plan; unknown words raise with the nearest known one."""
        _check_keys(body, "the study", ("title", "description", "parts", "regimes"))
        if not isinstance(body.get("parts"), Mapping):
            raise ValueError("the study must have `parts`: a mapping of names to parts")
        return cls(
            title=str(body.get("title", "Agreement of models")),
            description=str(body.get("description", "")),
            parts=tuple(_part(str(name), part) for name, part in body["parts"].items()),
            regimes=tuple((str(a), str(b)) for a, b in body.get("regimes") or ()),
        )


def read_plan(path: str | Path) -> StudyPlan:
    """Read a plan from a YAML or JSON file.

    Raises
    ------
    ImportError
        If the file is YAML and PyYAML is missing.
    ValueError
        If the file cannot be read or asks for what there is not; the message names it.
    """
    path = Path(path)
    body = read_words(path)
    if not isinstance(body, Mapping):
        raise ValueError(f"{path} must hold a mapping with `title` and `parts`")
    try:
        return StudyPlan.from_mapping(body)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{path}: {error}") from error


def _part(name: str, body: Any) -> PartPlan:
    if not isinstance(body, Mapping):
        raise ValueError(f"part {name!r} must be a mapping with `data` and `models`")
    known = tuple(key for key in PartPlan.__dataclass_fields__ if key != "name")
    _check_keys(body, f"part {name!r}", known)
    data = str(body.get("data") or "")
    options: dict[str, Any] = {key: body[key] for key in SIMPLE if body.get(key) is not None}
    if body.get("analyses") is not None:
        options["analyses"] = tuple(body["analyses"])
    if body.get("ks"):
        options["ks"] = tuple(int(k) for k in body["ks"])
    return PartPlan(
        name=name,
        data=data,
        models=_models(name, data, body.get("models", "all")),
        metrics=tuple(_metric(entry) for entry in body.get("metrics") or ()),
        performance=_performance(name, body.get("performance")),
        layers=tuple((str(a), str(b)) for a, b in body.get("layers") or ()),
        **options,
    )


def _models(part: str, data: str, entries: Any) -> tuple[ModelPlan, ...]:
    if entries == "all" and data:
        columns = find_dataset(data.partition(":")[0]).columns
        entries = [
            model.name
            for model in MODELS.values()
            if not model.takes_weights
            and (model.representation in columns or model.representation == "ids")
        ]
    if isinstance(entries, str) or not isinstance(entries, Sequence):
        raise ValueError(f'`models` of part {part!r} must be a list or "all", got {entries!r}')
    return tuple(_model(entry) for entry in entries)


def _model(entry: Any) -> ModelPlan:
    if isinstance(entry, str):
        return ModelPlan(name=entry.replace(":", "-").replace("/", "-"), model=entry)
    if not isinstance(entry, Mapping):
        raise ValueError(f"a model must be a name or a mapping, got {entry!r}")
    _check_keys(entry, "a model", tuple(ModelPlan.__dataclass_fields__))
    options = {key: value for key, value in entry.items() if value is not None}
    name = options.pop("name", None) or Path(options.get("model") or options.get("store", "")).name
    return ModelPlan(name=str(name), **options)


def _metric(entry: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(entry, str):
        return entry, {}
    if isinstance(entry, Mapping) and len(entry) == 1:
        ((name, settings),) = entry.items()
        return str(name), dict(settings or {})
    raise ValueError(f"a metric must be a name or {{name: settings}}, got {entry!r}")


def _performance(part: str, entry: Any) -> Performance | None:
    if entry is None:
        return None
    if entry == "energy":
        return Performance()
    if not isinstance(entry, Mapping):
        raise ValueError(f'`performance` of part {part!r} must be "energy" or a mapping')
    _check_keys(entry, f"performance of {part!r}", tuple(Performance.__dataclass_fields__))
    values = {str(name): float(value) for name, value in (entry.get("values") or {}).items()}
    energy = bool(entry.get("energy", not values))
    if energy == bool(values):
        raise ValueError(f"performance of part {part!r} must have `values` or `energy: true`")
    default = Performance()
    return Performance(
        label=str(entry.get("label", default.label if energy else "performance")),
        lower_is_better=bool(entry.get("lower_is_better", True)),
        values=values,
        energy=energy,
    )


def _check_keys(body: Mapping[str, Any], what: str, known: Sequence[str]) -> None:
    for key in body:
        check_choice(str(key), f"a word of {what}", known)
