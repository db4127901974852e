"""Whether what a comparison keeps fits into memory, asked before there is any of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from consilience._evaluate import Terms
from consilience.needs import (
    EdgeNeed,
    GraphNeed,
    JointNeed,
    MomentNeed,
    PairNeed,
    RankNeed,
    View,
)

GIB = float(1 << 30)
# An index and a distance of a neighbour, and a product along the edge to it.
LISTED, PRODUCT = 16, 8
# Which ops ask for less, and how.
RANKS = "rank_counts of all rows"
FEWER = "compare fewer or narrower models at a time"
SOME_ROWS = "give `rows`, a sample of them"


def check_fits(terms: Terms, max_memory: int | None) -> None:
    """Refuse what can only fail after hours.

    Counted are neighbour lists and moments, which stay until the scores are there; and each op is
    asked for the least that it can work in, which it takes from what ops may use in any case.

    Raises
    ------
    MemoryError
        If they take more than `max_memory`, or than this machine has left; says what would fit.
    """
    _check_kept(terms, max_memory)
    _check_ops(terms, max_memory)


def _check_kept(terms: Terms, max_memory: int | None) -> None:
    """Refuse lists and moments that do not fit beside each other."""
    room = available() if max_memory is None else max_memory
    models = len({model for pair in terms.pairs for model in pair})
    lists, moments = models * _list_bytes(terms), _moment_bytes(terms)
    if room is None or lists + moments <= room:
        return
    whose = "this machine has" if max_memory is None else "`max_memory` is"
    raise MemoryError(
        f"{models} models of {terms.n_samples} samples: neighbour lists take {lists / GIB:.2f} GiB "
        f"and moments {moments / GIB:.2f} GiB, and {whose} {room / GIB:.2f} GiB; "
        f"{_what_fits(terms, models, lists, room - moments)}"
    )


def _check_ops(terms: Terms, max_memory: int | None) -> None:
    """Refuse an op that would refuse itself once it is its turn."""
    least_memory = getattr(terms.ops, "least_memory", None)
    if least_memory is None or not terms.pairs:
        return
    room: int = getattr(terms.ops, "max_memory")  # noqa: B009 (of backends that take one)
    for op, of, remedy, sizes in _asked(terms):
        needed = least_memory(op, terms.n_samples, **sizes)
        if needed <= room:
            continue
        # Pages of files have a share of what is allowed, which ops do not.
        allowed = room if max_memory is None else max_memory
        enough = -(-needed * allowed // room >> 20) + 1
        name = RANKS if op == "rank_matrix" else op
        raise MemoryError(
            f"{name} of {of} ({terms.n_samples} samples) needs {-(-needed >> 20)} MiB at least, "
            f"and ops may use {room / 2**20:.0f} MiB; raise `max_memory` to {enough << 20} bytes"
            + (f", or {remedy}" if remedy else "")
        )


def _asked(terms: Terms) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yield each op that is asked for: its name, of whom, what needs less, and its sizes."""
    models = sorted({m for pair in terms.pairs for m in pair})
    pairs = len({tuple(sorted(pair)) for pair in terms.pairs} | {(m, m) for m in models})
    widest = max(models, key=terms.dims)
    widths = [terms.dims(m) for m in models]
    channels: dict[bool, list[PairNeed]] = {}
    for need in terms.needs:
        graph = need.graph if isinstance(need, (EdgeNeed, RankNeed)) else need
        if isinstance(graph, GraphNeed):
            yield _search(terms, graph, widest)
        if isinstance(need, RankNeed):
            yield _ranks(terms, need, widest)
        elif isinstance(need, JointNeed):
            sizes = {"widths": widths, "itemsize": _itemsize(terms, widest, need.view)}
            rows = _rows(terms, need)
            yield "joint_nearest", "all models", FEWER, sizes | {"n_rows": rows, "n_pairs": pairs}
        elif isinstance(need, MomentNeed):
            two = sorted(widths)[-2:]
            yield "moments", "the widest pair", FEWER, {"widths": two}
        elif isinstance(need, PairNeed):
            channels.setdefault(_rows(terms, need) is not None, []).append(need)
    for some, needs in channels.items():
        sizes = {"widths": widths * len({need.view for need in needs})}
        sizes |= {"n_channels": len(models) * len(needs), "n_pairs": pairs * len(needs)}
        op, remedy = ("pair_rows", FEWER) if some else ("pair_terms", SOME_ROWS)
        yield op, "all models", remedy, sizes


def _search(terms: Terms, need: GraphNeed, widest: int) -> tuple[str, str, str, dict[str, Any]]:
    approximate = need.method == "approx"
    sizes = {"widths": [terms.dims(widest)], "itemsize": _itemsize(terms, widest, need.view)}
    sizes |= {"n_rows": _rows(terms, need), "k": need.k}
    op, remedy = ("knn_approx", SOME_ROWS) if approximate else ("knn_exact", "take a smaller k")
    return op, f"`{terms.name(widest)}`", remedy, sizes


def _ranks(terms: Terms, need: RankNeed, widest: int) -> tuple[str, str, str, dict[str, Any]]:
    graph = need.graph
    sizes = {"widths": [terms.dims(widest)], "itemsize": _itemsize(terms, widest, graph.view)}
    of = f"`{terms.name(widest)}`"
    if terms.nulls and _rows(terms, graph) is None:
        return "rank_matrix", of, f"{SOME_ROWS}, whose ranks are counted in parts", sizes
    listed = {"n_lists": max(len(terms.rank_sources(b)) for _, b in terms.pairs), "k": graph.k}
    return "rank_counts", of, "take a smaller k", sizes | listed


def _rows(terms: Terms, need: GraphNeed | PairNeed | JointNeed) -> int | None:
    return None if need.rows is None or need.rows >= terms.n_samples else need.rows


def _itemsize(terms: Terms, model: int, view: View) -> int:
    """Return the bytes of an entry; prepared rows are float64."""
    return int(terms.sets[model].values.dtype.itemsize) if view == View() else 8


def available() -> int | None:
    """Return the bytes that the system could give to programs, or None where it does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    sizes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(sizes[0]) << 10 if sizes else None


def _list_bytes(terms: Terms) -> int:
    """Return the bytes of the lists of one model: one graph for all k of the same search."""
    widest: dict[GraphNeed, int] = {}
    products = 0
    for need in terms.needs:
        graph = need.graph if isinstance(need, (EdgeNeed, RankNeed)) else need
        if not isinstance(graph, GraphNeed):
            continue
        rows = min(graph.rows or terms.n_samples, terms.n_samples)
        key = GraphNeed(graph.view, graph.distance, 0, graph.method, graph.rows, graph.seed)
        widest[key] = max(widest.get(key, 0), rows * graph.k)
        products += PRODUCT * rows * graph.k if isinstance(need, EdgeNeed) else 0
    return LISTED * sum(widest.values()) + products


def _moment_bytes(terms: Terms) -> int:
    views = sum(isinstance(need, MomentNeed) for need in terms.needs)
    models = {model for pair in terms.pairs for model in pair}
    pairs = {tuple(sorted(pair)) for pair in terms.pairs} | {(model, model) for model in models}
    return 8 * views * sum(terms.dims(a) * terms.dims(b) for a, b in pairs)


def _what_fits(terms: Terms, models: int, lists: int, room: int) -> str:
    if lists == 0 or room <= 0:
        return "compare fewer or narrower models"
    rows, together = int(terms.n_samples * room / lists), int(models * room / lists)
    fits = [f"rows={rows} or a smaller k would fit"]
    if together >= 2:
        fits.append(f"so would {together} models at a time")
    return "; ".join(fits)
