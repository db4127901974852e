"""Dask: who does the tasks of a comparison, here or elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consilience._memory import as_bytes

if TYPE_CHECKING:
    from distributed import Client

# Tasks take seconds and carry no data: what watches, moves and spills data would cost only.
# Mapped files count as a worker's memory though the system can take them back, so that it is
# ended near its limit but never paused.
SETTINGS = {
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.scheduler.work-stealing": False,
}
CONNECT_SECONDS = 30.0
LOOPBACK = "127.0.0.1"


@contextmanager
def client_of(
    scheduler: str | None = None,
    *,
    scheduler_file: str | Path | None = None,
    local: int | None = None,
    memory_limit: int | str | None = None,
    dashboard: bool = False,
) -> Iterator[Client | None]:
    """Connect to a scheduler, or start workers on this machine; None if neither is asked for.

    Parameters
    ----------
    scheduler : str, optional
        Address, such as ``tcp://head:8786``.
    scheduler_file : path, optional
        What ``dask scheduler --scheduler-file`` wrote.
    local : int, optional
        Worker processes to start here, each with one thread, for as long as the context lasts.
        Nothing listens beyond the loopback.
    memory_limit : int or str, optional
        Of each local worker, such as "4GiB"; an equal share of the machine by default.
    dashboard : bool
        Whether the local scheduler has one, on the loopback.

    Raises
    ------
    ImportError
        If Dask is not installed.
    OSError
        If no scheduler answers.
    ValueError
        If more than one is asked for.
    """
    asked = [one for one in (scheduler, scheduler_file, local) if one is not None]
    if not asked:
        yield None
        return
    if len(asked) > 1:
        raise ValueError("give one of a scheduler, a scheduler file and a local cluster")
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ImportError("workers need Dask: pip install 'consilience[dask]'") from error
    with dask.config.set(SETTINGS):
        if local is None:
            with _connected(Client, scheduler, scheduler_file) as client:
                yield client
            return
        with (
            LocalCluster(
                n_workers=local,
                threads_per_worker=1,
                host=LOOPBACK,
                dashboard_address=f"{LOOPBACK}:0",
                scheduler_kwargs={"dashboard": dashboard},
                memory_limit=as_bytes(memory_limit, "memory_limit") or "auto",
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client


def _connected(client: Any, scheduler: str | None, file: str | Path | None) -> Any:
    where = scheduler or f"that {file} names"
    try:
        if scheduler is not None:
            return client(scheduler, timeout=CONNECT_SECONDS)
        return client(scheduler_file=str(file), timeout=CONNECT_SECONDS)
    except OSError as error:
        raise OSError(
            f"no Dask scheduler {where} answers within {CONNECT_SECONDS:.0f} s ({error}); start "
            "one with `dask scheduler`, or use --local-cluster"
        ) from error
