"""What each of two processes does in tests/compat/test_torchmetrics.py."""

from __future__ import annotations

import os

import torch
import torch.distributed as dist


def shares(rank: int) -> list[slice]:
    """Return the rows of each batch of a process: unequal shares, or none at all."""
    return [slice(0, 40), slice(40, 47), slice(47, 150)] if rank == 0 else [slice(150, 161)]


def run(rank: int, folder: str) -> None:
    """Update with one's own share, sync, and write what came of it."""
    from torchmetrics import MetricCollection

    from consilience.compat.torchmetrics import Alignment

    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    try:
        X, Y = torch.load(f"{folder}/sets.pt", weights_only=True)
        metrics = MetricCollection(
            {
                "cka": Alignment("cka", (X.shape[1], Y.shape[1]), debiased=True),
                "cca": Alignment("cca", (X.shape[1], Y.shape[1])),
            }
        )
        idle = Alignment("cka", (X.shape[1], Y.shape[1]))  # which one process never updates
        on_step = Alignment("cka", (X.shape[1], Y.shape[1]), dist_sync_on_step=True)
        for rows in shares(rank):
            metrics.update(X[rows], Y[rows])
            if rank == 0:
                idle.update(X[rows], Y[rows])
        step = on_step(*(A[:20] if rank == 0 else A[20:50] for A in (X, Y)))
        found = {name: float(value) for name, value in metrics.compute().items()}
        found |= {"idle": float(idle.compute()), "step": float(step)}
        found["n_samples"] = metrics["cka"].moments().n_samples  # its own again
        torch.save(found, f"{folder}/found{rank}.pt")
    finally:
        dist.destroy_process_group()
