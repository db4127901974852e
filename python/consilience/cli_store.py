"""`consilience store`: what is in stores, whether it is whole, and stores made of other files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

FILE = click.Path(path_type=Path)
OUTPUT = click.option("-o", "--output", type=FILE, required=True, help="Folder of the store.")
OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace a store that is there.")


@click.group()
def store() -> None:
    """Look at stores of embeddings, check them, and make them of other files."""


@store.command("ls")
@click.argument("paths", nargs=-1, required=True)
@click.pass_context
def list_stores(ctx: click.Context, paths: tuple[str, ...]) -> None:
    """List the stores at PATHS: stores, folders of stores, or their URLs."""
    from consilience.cli import table
    from consilience.store import open

    stores, broken = [], []
    for folder in [folder for path in paths for folder in _folders(path)]:
        try:
            stores.append((folder, open(folder)))
        except (OSError, ValueError) as error:
            broken.append(f"{folder} does not open: {error}")
    head = ("store", "model", "samples", "features", "dtype", "complete", "size", "created")
    click.echo(table(head, [_facts(name, stored) for name, stored in stores]))
    for name, stored in stores:
        if stored.unfinished:
            click.echo(f"{name}: {stored.unfinished}")
    for line in broken:
        click.echo(line)
    ctx.exit(int(bool(broken)))


@store.command()
@click.argument("paths", nargs=-1, required=True)
@click.pass_context
def verify(ctx: click.Context, paths: tuple[str, ...]) -> None:
    """Read every byte of the stores at PATHS and compare checksums; exit code 1 if one differs."""
    from consilience.store import problems

    failed = False
    for folder in [folder for path in paths for folder in _folders(path)]:
        found = problems(folder)
        failed = failed or bool(found)
        for line in found or [f"{folder} is whole"]:
            click.echo(line)
    ctx.exit(int(failed))


@store.command()
@click.argument("source", type=FILE)
@click.argument("target", type=FILE)
@click.option("--model", required=True, help="Name of the model that made the embeddings.")
@click.option("--ids", type=FILE, help="Text file of sample ids, one a line.")
@OVERWRITE
def convert(source: Path, target: Path, model: str, ids: Path | None, overwrite: bool) -> None:
    """Write the array file SOURCE as the store TARGET, a block of rows at a time."""
    from consilience.store import convert

    names = ids.read_text(encoding="utf-8").splitlines() if ids else None
    _say(convert(source, target, model=model, ids=names, overwrite=overwrite))


@store.command()
@click.argument("paths", nargs=-1, required=True)
@OUTPUT
@OVERWRITE
def merge(paths: tuple[str, ...], output: Path, overwrite: bool) -> None:
    """Write the samples of the stores at PATHS, all of one model, as one store."""
    from consilience.store import merge, open

    _say(merge([open(path) for path in paths], output, overwrite=overwrite))


def _say(stored: Any) -> None:
    click.echo(f"wrote {stored.shape[0]} x {stored.shape[1]} {stored.dtype} to {stored.path}")


def _folders(path: str) -> Iterator[str]:
    """Yield the store at a path, or those in the folder."""
    from consilience.store import folders_of_set, is_store

    yield from [path] if is_store(path) else folders_of_set(path).values()


def _facts(name: str, stored: Any) -> tuple[str, ...]:
    found, (n_samples, n_features) = stored.manifest, stored.shape
    complete = "yes" if stored.complete else "no"
    size = f"{stored.nbytes / 1e6:.1f} MB"
    counts = (str(n_samples), str(n_features), found.dtype)
    return (name, stored.model, *counts, complete, size, found.created)
