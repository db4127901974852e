"""One part of a study as the page sees it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from consilience.report.glossary import title_of
from consilience.report.palette import Look, looks, word
from consilience.report.parts import Cast, cast
from consilience.study.result import Part
from consilience.study.score_matrix import Scores


@dataclass(frozen=True, eq=False)
class Subject:
    """A part, which metric plays which part in it, and quick access to its models' facts."""

    part: Part

    @cached_property
    def cast(self) -> Cast:
        """Which metric leads, which are directed, who is a baseline."""
        return cast(self.part.matrix, self.part.models)

    @property
    def names(self) -> tuple[str, ...]:
        """The models, in the order of the matrix."""
        return self.part.matrix.names

    @cached_property
    def facts(self) -> dict[str, dict[str, Any]]:
        """Facts of each model by its name."""
        return {model["name"]: model for model in self.part.models}

    @property
    def headline(self) -> Scores | None:
        """The scores that findings speak of."""
        label = self.cast.headline
        return None if label is None else self.part.matrix.scores[label]

    @cached_property
    def real(self) -> list[int]:
        """Places of the models that are no baselines."""
        return [i for i in range(len(self.names)) if i not in self.cast.baselines]

    def fact(self, name: str, key: str) -> Any:
        """Return a fact of a model, or None."""
        return self.facts.get(name, {}).get(key)

    def modality(self, name: str) -> str:
        """Return the modality of a model; a baseline is its own."""
        facts = self.facts.get(name, {})
        return "baseline" if facts.get("baseline") is True else word(facts.get("modality"))

    @cached_property
    def modalities(self) -> dict[str, Look]:
        """Look of each modality, baselines last."""
        found = [self.modality(name) for name in self.names]
        return looks(sorted(dict.fromkeys(found), key=lambda one: one == "baseline"))

    def title(self, label: str) -> str:
        """Return the title of a metric by its label; an unknown label speaks for itself."""
        scores = self.part.matrix.scores.get(label)
        return label if scores is None else title_of(scores)

    def analysis(self, key: str) -> list[dict[str, Any]]:
        """Return the results of an analysis as a list, those of the headline metric first."""
        return leading(self.part.analyses.get(key), self.cast.headline)


def leading(found: Any, headline: str | None) -> list[dict[str, Any]]:
    """Return one result, several or none as a list, those of the headline metric first."""
    if not found:
        return []
    several = [found] if isinstance(found, dict) else list(found)
    return sorted(several, key=lambda one: one.get("label") != headline)
