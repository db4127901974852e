"""What metrics share that score a sample of the rows, each among all samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from consilience._validate import check_integer
from consilience.metrics._registry import MetricSettings
from consilience.terms import Floats


@dataclass(frozen=True, kw_only=True)
class RowSettings(MetricSettings):
    """Which rows are scored, for a metric that is made of means over rows.

    rows : a seeded sample of so many, or all
    seed : of the sample, which is the same for all models
    """

    why_all_rows: ClassVar[str | None] = None  # if it takes no `rows`
    relabels_rows: ClassVar[bool] = False  # whether draws do without what other rows would say

    rows: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_integer(self.seed, "seed", 0)
        if self.rows is None:
            return
        check_integer(self.rows, "rows", 3)
        if self.why_all_rows is not None:
            raise ValueError(f"{type(self).__name__} takes no `rows`: {self.why_all_rows}")

    def check(self, terms: Any) -> None:
        """Raise unless the terms' samples suffice."""
        self.check_rows(terms.n_samples)
        super().check(terms)

    def check_rows(self, n_samples: int) -> None:
        """Raise unless there are as many rows as asked for."""
        if self.rows is not None and self.rows > n_samples:
            raise ValueError(
                f"`rows` must be at most n_samples={n_samples}, got {self.rows}; "
                "leave it out to take all"
            )

    def sampled(self, terms: Any) -> bool:
        """Return whether only some rows are scored."""
        return self.rows is not None and self.rows < terms.n_samples

    def found(self, terms: Any, a: int, b: int | None = None) -> dict[str, float]:
        """Return how many rows were scored, if not all, and the error that this adds.

        rows_std_error is that of the score as an estimate of the score over all rows.
        """
        if not self.sampled(terms):
            return {}
        rows = self.influence(terms, a, b)  # type: ignore[arg-type]
        if rows is None:
            return {}
        return {"rows": float(len(rows)), "rows_std_error": row_error(rows, terms.n_samples)}

    def with_row_error(self, error: float, terms: Any, a: int, b: int) -> float | None:
        """Return the standard error of a score of all rows, estimated from some of them.

        The rows are drawn whatever the samples are, so that variances add up.
        """
        if not self.sampled(terms):
            return error
        rows = self.influence(terms, a, b)
        return None if rows is None else math.hypot(error, row_error(rows, terms.n_samples))

    @property
    def seeded(self) -> bool:
        """Return whether the seed matters."""
        return self.rows is not None

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings by name, without `rows` and `seed` where all rows are scored."""
        chosen = super().settings
        if not self.seeded:
            del chosen["seed"]
        if self.rows is None:
            del chosen["rows"]
        return chosen


def row_error(rows: Floats, n_samples: int) -> float:
    """Return the standard error of the mean of rows drawn without replacement [cochran1977]_."""
    left_out = 1.0 - len(rows) / n_samples
    return math.sqrt(left_out * float(rows.var(ddof=1)) / len(rows))
