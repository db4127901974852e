"""Whether what a comparison keeps fits into memory, asked before there is any of it."""

from __future__ import annotations

from pathlib import Path

from consilience._evaluate import Terms
from consilience.needs import EdgeNeed, GraphNeed, MomentNeed, RankNeed

GIB = float(1 << 30)
# An index and a distance of a neighbour, and a product along the edge to it.
LISTED, PRODUCT = 16, 8


def check_fits(terms: Terms, max_memory: int | None) -> None:
    """Refuse what can only fail after hours.

    Counted are neighbour lists and moments, which stay until the scores are there; an op takes
    its blocks from what it may use in any case.

    Raises
    ------
    MemoryError
        If they take more than `max_memory`, or than this machine has left; says what would fit.
    """
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
