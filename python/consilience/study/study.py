"""A study in a notebook: run it, add to it, look at it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consilience.study.result import Part, StudyResult
from consilience.study.score_matrix import Array, ScoreMatrix

# Plans know all models and datasets: they are imported where one is run.
if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

    from consilience.study.plan import ModelPlan, StudyPlan


class Study:
    """A finished study.

    Parameters
    ----------
    folder : path
        Where `Study.run` or ``consilience study run`` wrote it.

    Raises
    ------
    FileNotFoundError
        If no study was finished there.
    ValueError
        If a file of it is damaged.

    Examples
    --------
    >>> study = Study.run("study.yaml", "out")              # doctest: +SKIP
    >>> study.matrix("cknna")                               # doctest: +SKIP
    >>> study.plot_tree()                                   # doctest: +SKIP
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.result = StudyResult.load(self.folder)

    @classmethod
    def run(
        cls,
        plan: StudyPlan | Mapping[str, Any] | str | os.PathLike[str],
        folder: str | os.PathLike[str],
        *,
        workers: int = 2,
        device: str = "auto",
        say: Callable[[str], None] = print,
        client: Executor | Client | None = None,
    ) -> Study:
        """Run a plan (a file, a mapping, or a StudyPlan) in a folder, or what is left of it."""
        from consilience.study.run import run_study

        run_study(
            _as_plan(plan), Path(folder), workers=workers, device=device, say=say, client=client
        )
        return cls(folder)

    def add(
        self,
        model: str | ModelPlan,
        *,
        part: str | None = None,
        workers: int = 2,
        device: str = "auto",
        say: Callable[[str], None] = print,
        client: Executor | Client | None = None,
    ) -> Study:
        """Return the study with one more model: one row of every matrix is computed."""
        from consilience.study.plan import ModelPlan, read_plan
        from consilience.study.run import PLAN

        added = model if isinstance(model, ModelPlan) else ModelPlan(file_name(model), model)
        plan = read_plan(self.folder / PLAN).with_model(part, added)
        how: dict[str, Any] = {"workers": workers, "device": device, "say": say, "client": client}
        return type(self).run(plan, self.folder, **how)

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts."""
        return tuple(part.name for part in self.result.parts)

    def part(self, name: str | None = None) -> Part:
        """Return a part with its analyses; the first by default."""
        return self.result.part(name)

    def scores(self, part: str | None = None) -> ScoreMatrix:
        """Return all scores of a part."""
        return self.part(part).matrix

    def matrix(self, metric: str, part: str | None = None) -> Array:
        """Return the scores of a metric, models × models in the order of ``scores().names``."""
        return self.scores(part)[metric]

    def to_dataframe(self) -> pd.DataFrame:
        """Return all scores of all parts in long form, with a column "part"; needs pandas."""
        import pandas as pd

        frames = [part.matrix.to_dataframe().assign(part=part.name) for part in self.result.parts]
        return pd.concat(frames, ignore_index=True)

    def plot_matrix(self, metric: str | None = None, part: str | None = None) -> Any:
        """Return the matrix of a metric as a Plotly figure."""
        from consilience.report import plot_matrix

        return plot_matrix(self.part(part), metric)

    def plot_tree(self, part: str | None = None) -> Any:
        """Return the tree of models as a Plotly figure."""
        from consilience.report import plot_tree

        return plot_tree(self.part(part))

    def report(self) -> Path:
        """Write report.html, figures and tables again, and return the page's path."""
        from consilience.report import write_study

        return write_study(self.result, self.folder)

    def __repr__(self) -> str:
        lines = [f"Study {self.result.title!r} in {self.folder}"]
        lines += [
            f"  {part.name}: {len(part.matrix.names)} models, {part.matrix.n_samples} samples, "
            f"{len(part.matrix.metrics)} metrics, analyses {', '.join(part.analyses) or 'none'}"
            for part in self.result.parts
        ]
        return "\n".join(lines)


def _as_plan(plan: StudyPlan | Mapping[str, Any] | str | os.PathLike[str]) -> StudyPlan:
    from consilience.study.plan import StudyPlan, read_plan

    if isinstance(plan, StudyPlan):
        return plan
    return StudyPlan.from_mapping(plan) if isinstance(plan, Mapping) else read_plan(Path(plan))


def file_name(model: str) -> str:
    """Return a name for ``NAME:WEIGHTS`` that does as a file name."""
    return model.replace(":", "-").replace("/", "-")
