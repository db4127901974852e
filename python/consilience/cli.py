"""The command line: parse, call, print. A command imports what it needs when it runs."""

from __future__ import annotations

import inspect
import json
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from consilience._files import sentence_of
from consilience.cli_store import store
from consilience.doctor import installed

ALIASES = {
    "dcor": "distance_correlation",
    "ii": "information_imbalance",
    "r2": "linear_regression_r2",
    "mknn": "mutual_knn",
    "mle": "dimension_mle",
    "idcor": "id_correlation",
}
FILE = click.Path(path_type=Path)
DEVICE = click.option(
    "--device",
    type=click.Choice(["auto", "cuda", "cpu"]),
    default="auto",
    show_default=True,
    help="Where to score; cuda brings the arrays to the GPU.",
)


MEMORY = click.option("--max-memory", help='For scoring, as "4GiB", mapped files included.')


def _searching(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of how neighbours are found."""
    rows = click.option("--rows", type=int, help="Score a random sample of so many rows.")
    methods = click.Choice(["exact", "approx"])
    neighbors = click.option("--neighbors", type=methods, default="exact", show_default=True)
    return neighbors(rows(command))


def _on_dask(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of who compares."""
    options = (
        click.option("--scheduler", help="Address of a Dask scheduler, as tcp://head:8786."),
        click.option("--scheduler-file", type=FILE, help="What the Dask scheduler wrote."),
        click.option("--local-cluster", "local", type=int, help="Start so many workers here."),
        click.option("--memory-limit", help='Of each worker started here, as "4GiB".'),
        click.option("--dashboard", is_flag=True, help="Of the scheduler here, on the loopback."),
    )
    for option in reversed(options):
        command = option(command)
    return command


# Commands that keep what they finish, and go on from there.
RESUMED = ("embed", "study", "demo")
INTERRUPTED = 130  # as a shell tells of an end by Ctrl-C


def _interrupted(*, resumed: bool) -> str:
    """Return what to say of an end by Ctrl-C."""
    kept = "; what is finished is kept, and the same command goes on from there"
    return f"Interrupted{kept if resumed else ''}."


class _Sentences(click.Group):
    """Turns what the library says about bad input into one sentence and an exit code."""

    def main(self, *args: Any, **options: Any) -> Any:
        try:
            return super().main(*args, **options)
        except SystemExit as end:
            if not isinstance(end.__context__, click.Abort):
                raise
            # Ctrl-C before or after the command itself, of which click has said "Aborted!"
            words = (args[0] if args else options.get("args")) or sys.argv[1:]
            click.echo(_interrupted(resumed=any(word in RESUMED for word in words)), err=True)
            raise SystemExit(INTERRUPTED) from None

    def invoke(self, ctx: click.Context) -> Any:
        from consilience.models import ModelError

        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader of our output went away; click ends quietly
            raise
        except KeyboardInterrupt:
            click.echo(_interrupted(resumed=ctx.invoked_subcommand in RESUMED), err=True)
            ctx.exit(INTERRUPTED)
        except (ValueError, TypeError, OSError, ImportError, MemoryError, ModelError) as error:
            if ctx.params.get("debug"):
                raise
            raise click.ClickException(sentence_of(error)) from error


@click.group(cls=_Sentences, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(installed("consilience") or "not installed", prog_name="consilience")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Measure how far models agree about the world."""


main.add_command(store)


# ---- comparing ---------------------------------------------------------------------------


@main.command()
@click.argument("x", type=FILE)
@click.argument("y", type=FILE)
@click.option("--metrics", default="cknna,cka,dcor", show_default=True, help="Names, by commas.")
@click.option("--k", type=int, help="Neighbours, for the metrics that have them.")
@_searching
@click.option("--backend", default="auto", show_default=True)
@DEVICE
@click.option("--threads", type=int, help="All cores by default.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def score(
    x: Path,
    y: Path,
    metrics: str,
    k: int | None,
    neighbors: str,
    rows: int | None,
    backend: str,
    device: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Score two embeddings of the same samples: stores, or files of any format that is read.

    .npy, .npz, .safetensors, .pt, .parquet, .arrow, .h5, .h5ad, .csv, a Zarr folder or a saved
    dataset; PATH::NAME says which array of a file that has several.
    """
    chosen = _chosen_metrics(metrics, k)
    (_, X), (_, Y) = _read_all([x, y])
    options: dict[str, Any] = {"backend": backend, "device": device, "n_threads": threads}
    if neighbors == "exact" and rows is None:
        lines = [_score_row(name, settings, X, Y, options) for name, settings in chosen]
    else:
        lines = _searched_rows(chosen, X, Y, options | {"neighbors": neighbors, "rows": rows})
    if as_json:
        head = {"x": str(x), "y": str(y), "n_samples": len(X)}
        click.echo(json.dumps({**head, "scores": lines}, indent=2))
        return
    click.echo(table(("metric", "score", "settings"), map(_score_cells, lines)))


@main.command()
@click.argument("files", type=FILE, nargs=-1, required=True)
@click.option("--preset", help="A named list of metrics: matter (the default), prh.")
@click.option("--metrics", help="Names, by commas, instead of a preset.")
@click.option("--k", type=int, help="Neighbours, with --metrics.")
@click.option("-o", "--output", type=FILE, default=Path("study"), show_default=True)
@_searching
@click.option("--backend", default="auto", show_default=True)
@DEVICE
@click.option("--threads", type=int, help="All cores by default.")
@MEMORY
def matrix(
    files: tuple[Path, ...],
    preset: str | None,
    metrics: str | None,
    k: int | None,
    output: Path,
    neighbors: str,
    rows: int | None,
    backend: str,
    device: str,
    threads: int | None,
    max_memory: str | None,
) -> None:
    """Compare all pairs of embeddings, with a progress bar."""
    if preset and metrics:
        raise ValueError("give --preset or --metrics, not both")
    if k is not None and not metrics:
        raise ValueError("--k goes with --metrics; a preset has its own")
    chosen = _chosen_metrics(metrics, k) if metrics else None
    _check_names(files)
    embeddings = dict(_read_all(files))

    how: dict[str, Any] = {"neighbors": neighbors, "rows": rows, "progress": True}
    how |= {"backend": backend, "device": device, "n_threads": threads}
    how["max_memory"] = max_memory
    result = _compared(embeddings, chosen, preset=preset, **how)
    click.echo(f"wrote {result.save(output / 'matrix.json')}")
    for line in _write_reports(result, output):
        click.echo(line)


def _compared(embeddings: dict[str, Any], chosen: Any, **how: Any) -> Any:
    """Compare, and print what is to be known of it."""
    from consilience import compare

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = compare(embeddings, chosen, **how)
    for warning in caught:
        click.echo(f"Note: {warning.message}", err=True)
    return result


def _write_reports(result: Any, output: Path) -> Iterable[str]:
    from consilience.report import write_report, write_tables

    yield f"wrote {write_tables(result, output)[-1]} and one table per metric"
    try:
        page = write_report(result, output / "report.html", title="Agreement of models")
    except ImportError as error:
        yield f"no report.html: {error}"
    else:
        yield f"wrote {page}"


def _check_names(files: Sequence[Path]) -> None:
    """Refuse two files of one name, and fewer than two, before anything is read."""
    from consilience.store.readers import label_of

    seen: dict[str, Path] = {}
    for file in files:
        label = label_of(file)
        if label in seen:
            raise ValueError(f"{seen[label]} and {file} would both be called {label!r}; rename one")
        seen[label] = file
    if len(seen) < 2:
        raise ValueError(f"a comparison needs at least two files, got {len(seen)}")


def _read_all(files: Sequence[Path]) -> list[tuple[str, Any]]:
    """Read array files, or stores, which are aligned by sample id."""
    from consilience.store import align, open
    from consilience.store.readers import is_rows, label_of

    folders = [file for file in files if not is_rows(file)]
    if folders and len(folders) < len(files):
        other = next(file for file in files if is_rows(file))
        raise ValueError(
            f"{folders[0]} is a store with sample ids and {other} is a plain array; "
            "give either stores or arrays, as rows cannot be matched between them"
        )
    if folders:
        _, arrays = align([open(folder) for folder in folders])
    else:
        arrays = _read_files(files)
    return [(label_of(file), array) for file, array in zip(files, arrays, strict=True)]


def _read_files(files: Sequence[Path]) -> list[Any]:
    """Read array files; where two have ids, they must be the same ones in the same order."""
    from consilience.store import open_rows

    arrays: list[Any] = []
    first: tuple[Path, tuple[str, ...]] | None = None
    for file in files:
        with open_rows(file) as rows:
            if rows.ids is not None:
                first = first or (file, rows.ids)
                _check_same_ids(*first, file, rows.ids)
            arrays.append(rows.whole())
    return arrays


def _check_same_ids(one: Path, ids: tuple[str, ...], other: Path, found: tuple[str, ...]) -> None:
    if ids == found:
        return
    pairs = zip(ids, found, strict=False)
    row = next((r for r, (a, b) in enumerate(pairs) if a != b), min(len(ids), len(found)))
    a, b = (repr(i[row]) if row < len(i) else "nothing" for i in (ids, found))
    raise ValueError(
        f"{one} and {other} have different ids from row {row} on ({a} and {b}); "
        "make stores of them, whose rows are aligned by id: consilience store convert"
    )


def _chosen_metrics(text: str, k: int | None) -> list[tuple[str, dict[str, Any]]]:
    """Return (metric, settings) for names such as "cknna,dcor"; k goes where there is a k."""
    from consilience._validate import check_choice
    from consilience.metrics import METRICS

    names = [name.strip().replace("-", "_") for name in text.split(",") if name.strip()]
    if not names:
        raise ValueError("--metrics names no metric")
    chosen: list[tuple[str, dict[str, Any]]] = []
    for short in names:
        name = ALIASES.get(short, short)
        if name not in METRICS:
            check_choice(short, "metric", (*METRICS, *ALIASES))
        takes_k = "k" in inspect.signature(METRICS[name].function).parameters
        chosen.append((name, {"k": k} if takes_k and k is not None else {}))
    if k is not None and not any(settings for _, settings in chosen):
        raise ValueError(f"--k {k} has no use: none of {', '.join(names)} counts neighbours")
    return chosen


def _score_row(
    name: str, settings: dict[str, Any], X: Any, Y: Any, options: dict[str, Any]
) -> dict[str, Any]:
    from consilience.metrics import METRICS

    found = METRICS[name]
    row: dict[str, Any] = {"metric": name, "kind": found.kind, "settings": settings}
    function: Callable[..., Any] = found.function
    if found.kind == "single":
        x, y = (float(function(array, **settings, **options)) for array in (X, Y))
        return {**row, "x": x, "y": y}
    result = function(X, Y, **settings, **options)
    if found.kind == "directed":
        return {**row, "x_to_y": float(result[0]), "y_to_x": float(result[1])}
    if hasattr(result, "_asdict"):
        return {**row, **result._asdict()}
    return {**row, "value": float(result)}


def _searched_rows(
    chosen: Sequence[tuple[str, dict[str, Any]]], X: Any, Y: Any, options: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return scores with what the search leaves unsure: recall, or the error of some rows."""
    result = _compared({"x": X, "y": Y}, chosen, null=None, intervals=None, **options)
    found = []
    for (name, settings), scores in zip(chosen, result.scores.values(), strict=True):
        search = {key: v for key, v in scores.settings.items() if key in ("neighbors", "rows")}
        row = {"metric": name, "kind": scores.kind, "settings": settings | search}
        arrays = {"": scores.values} | {
            f" {key}": scores.details[key]
            for key in ("rows_std_error", "recall", "recall_a", "recall_b")
            if key in scores.details
        }
        for key, array in arrays.items():
            if scores.kind == "single":
                row |= {f"x{key}": float(array[0]), f"y{key}": float(array[1])}
            elif scores.kind == "directed":
                row |= {f"x_to_y{key}": float(array[0, 1]), f"y_to_x{key}": float(array[1, 0])}
            else:
                row |= {f"value{key}".removeprefix("value "): float(array[0, 1])}
        found.append(row)
    return found


def _score_cells(row: dict[str, Any]) -> tuple[str, str, str]:
    numbers = {key: row[key] for key in row if key not in ("metric", "kind", "settings")}
    shown = [f"{'' if key == 'value' else key + ' '}{_short(v)}" for key, v in numbers.items()]
    settings = ", ".join(f"{key}={value}" for key, value in row["settings"].items())
    return row["metric"], "   ".join(shown), settings


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


# ---- what there is -----------------------------------------------------------------------


@main.command()
def metrics() -> None:
    """List the metrics."""
    from consilience.metrics import METRICS

    short = {name: alias for alias, name in ALIASES.items()}
    rows = [
        (name, short.get(name, ""), m.kind, _bounds(m.bounds), m.summary)
        for name, m in METRICS.items()
    ]
    click.echo(table(("metric", "short", "kind", "range", "what it is"), rows))


def _bounds(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:g} to {bounds[1]:g}"


@main.group(invoke_without_command=True)
@click.pass_context
def models(ctx: click.Context) -> None:
    """List the models and what each still needs."""
    if ctx.invoked_subcommand:
        return
    from consilience.models import MODELS, available

    rows = [
        (
            m.name,
            m.modality,
            m.architecture,
            m.embedding,
            m.training_data or "-",
            m.theory or "-",
            _count(m.parameters),
            str(m.width or "-"),
            m.license,
            available(m) or "ready",
        )
        for m in MODELS.values()
    ]
    head = ("model", "reads", "architecture", "embedding", "training data", "theory")
    click.echo(table((*head, "parameters", "width", "licence", "state"), rows))


def _count(number: int | None) -> str:
    if number is None:
        return "-"
    return f"{number / 1e6:.1f}M" if number >= 100_000 else str(number)


@models.command("install")
@click.argument("names", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Print the commands only.")
def install_models(names: tuple[str, ...], dry_run: bool) -> None:
    """Install what models need (NAMES, or all), those with unmeetable pins without them."""
    from consilience.models._install import install

    for command in install(names, dry_run=dry_run):
        click.echo(" ".join(command))


@main.group(invoke_without_command=True)
@click.pass_context
def datasets(ctx: click.Context) -> None:
    """List the datasets and what each still needs."""
    if ctx.invoked_subcommand:
        return
    from consilience.datasets import DATASETS, missing

    rows = [
        (d.name, d.modality, ", ".join(d.columns), d.license, missing(d) or "ready", d.summary)
        for d in DATASETS.values()
    ]
    click.echo(table(("dataset", "of", "columns", "licence", "state", "what it is"), rows))


@datasets.command("install")
@click.argument("names", nargs=-1, required=True)
def install_datasets(names: tuple[str, ...]) -> None:
    """Fetch the data of datasets that ship in source archives."""
    from consilience.datasets import install

    for name in names:
        click.echo(f"{name}: {install(name)}")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Say what this machine can run, and what would bring what it cannot."""
    from consilience import datasets, models
    from consilience.doctor import examine, lines

    found = examine()
    state = {
        "datasets": {name: datasets.missing(entry) for name, entry in datasets.DATASETS.items()},
        "models": {name: models.available(entry) for name, entry in models.MODELS.items()},
    }
    if as_json:
        click.echo(json.dumps(found | state, indent=2))
        return
    for line in lines(found):
        click.echo(line)
    for kind, entries in state.items():
        for name, missing in entries.items():
            click.echo(f"{kind.removesuffix('s')} {name}: {missing or 'ready'}")


# ---- making embeddings and studies -------------------------------------------------------


@main.command()
@click.option("--model", "model_name", required=True, help="See `consilience models`.")
@click.option("--data", required=True, help="See `consilience datasets`; NAME or NAME:PATH.")
@click.option("--n", type=int, help="How many samples; all by default.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which samples.")
@click.option("--batch-size", type=int, help="Samples per batch.")
@click.option("--layer", help='A hidden layer, or "all"; the last one by default.')
@click.option("--pooling", help="Over atoms or tokens: mean, sum, cls, last.")
@click.option("--device", default="cpu", show_default=True)
@click.option("-o", "--output", type=FILE, required=True, help="Folder of the store.")
@click.option("--overwrite", is_flag=True, help="Replace a store that is there.")
def embed(
    model_name: str,
    data: str,
    n: int | None,
    seed: int,
    batch_size: int | None,
    layer: str | None,
    pooling: str | None,
    device: str,
    output: Path,
    overwrite: bool,
) -> None:
    """Embed a dataset with one model and write a store; goes on after an interruption."""
    from consilience.study.embed import embed_layers_to_stores, embed_to_store
    from consilience.study.jobs import end_with_parent

    end_with_parent()
    how: dict[str, Any] = {
        "n": n,
        "seed": seed,
        "batch_size": batch_size,
        "pooling": pooling,
        "device": device,
        "overwrite": overwrite,
    }
    if layer == "all":
        for name, stored in embed_layers_to_stores(model_name, data, output, **how).items():
            click.echo(f"wrote {name}: {stored.shape[0]} x {stored.shape[1]} to {stored.path}")
        return
    stored = embed_to_store(model_name, data, output, layer=layer, progress=True, **how)
    extra = stored.manifest.extra
    rows, width = stored.shape
    click.echo(f"wrote {rows} x {width} {stored.dtype} to {output} in {extra['seconds']:.1f} s")
    if extra["n_unsupported"]:
        click.echo(f"{extra['n_unsupported']} samples have elements the model does not know")


@main.group()
def study() -> None:
    """Run, extend and draw whole studies."""


@study.command("run")
@click.argument("plan", type=FILE)
@click.option("-o", "--output", type=FILE, help="Folder; by default beside the plan, by its name.")
@click.option("--workers", type=int, default=2, show_default=True, help="Models at a time.")
@DEVICE
@MEMORY
@click.option("--n", type=int, help="At most so many samples in every part.")
@_on_dask
def study_run(
    plan: Path,
    output: Path | None,
    workers: int,
    device: str,
    max_memory: str | None,
    n: int | None,
    **dask: Any,
) -> None:
    """Do what PLAN (YAML or JSON) asks for and is not done yet.

    Models embed here; who compares may be Dask's workers, which must see the folder.
    """
    from consilience.study.cluster import client_of
    from consilience.study.plan import read_plan
    from consilience.study.run import run_study

    asked = read_plan(plan)
    folder = output or plan.with_suffix("")
    with client_of(**dask) as client:
        run_study(
            asked if n is None else asked.with_n(n),
            folder,
            workers=workers,
            device=device,
            say=click.echo,
            client=client,
            max_memory=max_memory,
        )


@study.command("add")
@click.argument("folder", type=FILE)
@click.option("--model", required=True, help="NAME or NAME:WEIGHTS; see `consilience models`.")
@click.option("--name", help="What to call it in the study.")
@click.option("--part", help="Which part, if the study has several.")
@click.option("--workers", type=int, default=2, show_default=True)
@DEVICE
def study_add(
    folder: Path, model: str, name: str | None, part: str | None, workers: int, device: str
) -> None:
    """Add a model to the study in FOLDER: one row of every matrix is computed."""
    from consilience.study.plan import ModelPlan
    from consilience.study.study import Study, file_name

    added = ModelPlan(name or file_name(model), model)
    Study(folder).add(added, part=part, workers=workers, device=device, say=click.echo)


@study.command("report")
@click.argument("folder", type=FILE)
def study_report(folder: Path) -> None:
    """Draw the finished study in FOLDER again."""
    from consilience.study.study import Study

    click.echo(f"wrote {Study(folder).report()}")


@study.command("show")
@click.argument("folder", type=FILE)
def study_show(folder: Path) -> None:
    """Print what the study in FOLDER found, as short tables."""
    from consilience.study.study import Study

    found = Study(folder)
    click.echo(repr(found))
    for part in found.parts:
        click.echo(f"\n{part}: {found.scores(part)!r}")


@main.command()
@click.option("--n", type=int, help="At most so many samples in every part.")
@click.option("--workers", type=int, default=2, show_default=True, help="Models at a time.")
@DEVICE
@click.option("-o", "--output", type=FILE, default=Path("demo"), show_default=True)
def demo(n: int | None, workers: int, device: str, output: Path) -> None:
    """Compare real models of molecules, materials and proteins, and write a report."""
    from consilience.study.demo import run_demo

    run_demo(output, n=n, workers=workers, device=device, say=click.echo)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out rows in columns as wide as they need."""
    lines = [tuple(head), *map(tuple, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
