"""What chance would give: p-values, calibrated scores, and moments where only draws know them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from consilience._evaluate import Terms
from consilience.inference.laws import Drawn, Law, calibrated
from consilience.inference.relabel import permutations
from consilience.metrics._registry import Score
from consilience.terms import Indices

NullMode = Literal["auto", "closed", "permutation"]
NULL_MODES = ("auto", "closed", "permutation")


@dataclass(frozen=True)
class Chance:
    """How a cell's null is found.

    orders : (n_draws, n_samples), the same relabellings for all pairs and metrics
    """

    mode: NullMode | None
    orders: Indices

    @classmethod
    def of(
        cls,
        mode: NullMode | None,
        metrics: Iterable[Any],
        n_samples: int,
        draws: int,
        seed: int,
        n_threads: int = 1,
    ) -> Chance:
        """Return it, the relabellings made only if a metric will ask for them."""
        wanted = mode is not None and any(not by_law(metric, mode) for metric in metrics)
        count = draws if wanted else 0
        return cls(mode, permutations(n_samples, seed, 0, count, n_threads))

    def numbers(self, metric: Any, terms: Terms, a: int, b: int, score: Score) -> dict[str, float]:
        """Return p_value, calibrated, and null_mean and null_std where draws alone give them."""
        law = self._law(metric, terms, a, b, score)
        if law is None:
            p_value = score.details.get("p_value") if self.mode else None
            return {} if p_value is None else {"p_value": p_value}
        sign = -1.0 if metric.lower_is_closer else 1.0
        closeness, best = sign * score.value, sign * metric.best(terms, a, b)
        found = {
            "p_value": law.upper(closeness),
            "calibrated": calibrated(law, closeness, best),
        }
        if isinstance(law, Drawn):
            if score.null is None:
                found["null_mean"] = sign * float(law.draws.mean())
            if (score.null is None or score.null.std is None) and len(law.draws) > 1:
                found["null_std"] = float(law.draws.std(ddof=1))
        return found

    def _law(self, metric: Any, terms: Terms, a: int, b: int, score: Score) -> Law | None:
        if self.mode is None:
            return None
        if not by_law(metric, self.mode):
            draws = metric.draws(terms, a, b, self.orders)
            return Drawn(-draws if metric.lower_is_closer else draws)
        found: Law | None = metric.law(terms, a, b, score)
        return found


def by_law(metric: Any, mode: NullMode | None) -> bool:
    """Return whether a metric's null is a law of known moments, if it is anything."""
    return mode == "closed" or (mode == "auto" and not metric.quick_draws)
