"""A torchmetrics Metric whose processes join their sums, not their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

try:
    import torch
    from torchmetrics import Metric
except ImportError as error:
    raise ImportError(
        "consilience.compat.torchmetrics needs torch and torchmetrics: pip install torchmetrics"
    ) from error

from consilience._evaluate import metric_with
from consilience._validate import LARGEST, check_integer
from consilience.accumulate._sums import Sums, joined, pairs_of
from consilience.accumulate.moments import Moments
from consilience.backends._block_moments import products


class Alignment(Metric):  # type: ignore[misc, unused-ignore]
    """A metric of moments over all batches, on all processes.

    Parameters
    ----------
    metric : str
        The name of a metric that reads moments alone: linear `cka` or `hsic`, `cca`, `svcca`,
        `pwcca`, `procrustes`, `linear_regression_r2`.
    dims : sequence of int
        n_features of each model; processes without a batch must know it too.
    **settings
        Of the metric (`debiased`, `rcond`, ...), and of torchmetrics.Metric (`process_group`,
        `sync_on_compute`, ...).

    Notes
    -----
    `update` takes one tensor (n_samples, n_features) per model, on the metric's device.
    `compute` returns a float64 scalar for two models, from the first to the second where the
    metric is directed, and a matrix of all pairs for more. The state is one float64 tensor of
    sums about the mean; processes are joined exactly, however unequal their shares. Metrics of the
    same `dims` in a MetricCollection share one state.

    `forward` returns the score of the batch, which therefore must have enough rows for one.

    Examples
    --------
    >>> import torch
    >>> from consilience.compat.torchmetrics import Alignment
    >>> alignment = Alignment("cka", dims=(4, 3), debiased=True)
    >>> X = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
    >>> alignment.update(X, X[:, :3])
    >>> bool(0.5 < alignment.compute() <= 1.0)
    True
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    terms: torch.Tensor

    def __init__(self, metric: str, dims: Sequence[int], **settings: Any) -> None:
        registered, _ = metric_with(metric, {})
        known = {entry.name for entry in fields(registered.settings_type)}
        own = {name: value for name, value in settings.items() if name in known}
        super().__init__(**{name: value for name, value in settings.items() if name not in known})
        if len(dims) < 2:
            raise ValueError(f"`dims` must name two models at least, got {tuple(dims)}")
        for width in dims:
            check_integer(width, "dims", 1)
        self.metric, self.settings = metric, own
        self.layout = Layout(tuple(map(int, dims)), own.get("normalize", "none"))
        # What the metric reads is told now, and not after an epoch.
        Moments(self.layout.widths, normalize=self.layout.normalize)._chosen(metric, own)
        self.add_state("terms", default=self.layout.nothing(), dist_reduce_fx=self.layout)

    def update(self, *batches: torch.Tensor) -> None:
        """Add a batch: one tensor per model, row i of each from the same sample."""
        added = self.layout.of_batch(batches, self.terms.device)
        self.terms = self.layout(torch.stack([self.terms, added]))

    def forward(self, *batches: torch.Tensor) -> torch.Tensor:
        """Add a batch and return its own score; what raises adds nothing."""
        kept, count = self.terms, self._update_count
        try:
            return super().forward(*batches)
        except BaseException:
            self.terms, self._update_count = kept, count
            self._is_synced, self._cache = False, None
            raise

    def compute(self) -> torch.Tensor:
        """Return the score, or the matrix of scores of more than two models."""
        moments = self.moments()
        if len(self.layout.widths) == 2:
            found: Any = moments.compute(self.metric, **self.settings)
        else:
            found = moments.matrix(self.metric, **self.settings)
        return torch.as_tensor(found, dtype=torch.float64, device=self.terms.device)

    def moments(self) -> Moments:
        """Return the sums so far, which other metrics can be computed of."""
        return self.layout.moments(self.terms)

    def set_dtype(self, dst_type: Any) -> Alignment:
        """Raise: sums are float64, in which they keep their digits."""
        raise ValueError("an Alignment keeps its sums in float64; leave its dtype alone")


@dataclass(frozen=True)
class Layout:
    """Where the sums of some models are in one tensor; called, it joins tensors of them.

    Shifts, largest and smallest entries of every column, then the matrices of `pairs_of`.
    """

    widths: tuple[int, ...]
    normalize: Any = "none"

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes of the parts in order."""
        squares = [(self.widths[a] + 2, self.widths[b] + 2) for a, b in pairs_of(len(self.widths))]
        return [*((width,) for width in self.widths * 3), *squares]

    def nothing(self) -> torch.Tensor:
        """Return the sums of no rows."""
        n = len(self.widths)
        parts = [torch.zeros(shape, dtype=torch.float64) for shape in self.shapes]
        parts[n : 2 * n] = [part - torch.inf for part in parts[n : 2 * n]]
        parts[2 * n : 3 * n] = [part + torch.inf for part in parts[2 * n : 3 * n]]
        return self._packed(parts)

    @staticmethod
    def _packed(parts: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.cat([part.reshape(-1) for part in parts])

    def _parts(self, terms: torch.Tensor) -> list[torch.Tensor]:
        sizes = [torch.Size(shape).numel() for shape in self.shapes]
        return [
            part.reshape(shape)
            for part, shape in zip(torch.split(terms, sizes), self.shapes, strict=True)
        ]

    def _sums(self, parts: Sequence[torch.Tensor]) -> Sums:
        n = len(self.widths)
        return Sums(list(parts[:n]), list(parts[3 * n :]))

    def __call__(self, stacked: torch.Tensor) -> torch.Tensor:
        """Return the sums of all rows, (size,), of (n_processes, size)."""
        total = stacked[0]
        for other in stacked[1:]:
            if other[-1] == 0:
                continue
            total = other if total[-1] == 0 else self._joined(total, other)
        return total.clone()

    def _joined(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        n = len(self.widths)
        a, b = self._parts(one), self._parts(other)
        sums = joined(self._sums(a), self._sums(b))
        high = map(torch.maximum, a[n : 2 * n], b[n : 2 * n])
        low = map(torch.minimum, a[2 * n : 3 * n], b[2 * n : 3 * n])
        return self._packed([*sums.shifts, *high, *low, *sums.matrices])

    def of_batch(self, batches: Sequence[torch.Tensor], device: Any) -> torch.Tensor:
        """Return the sums of one batch, about its own means."""
        from consilience.views import normalized_rows

        sets = self._checked(batches, device)
        high = [X.max(dim=0).values for X in sets]
        low = [X.min(dim=0).values for X in sets]
        for m, (top, bottom) in enumerate(zip(high, low, strict=True)):
            # NaN is neither above nor below.
            if not bool((top <= LARGEST).all() & (bottom >= -LARGEST).all()):
                raise ValueError(f"batch {m} holds NaN, infinity or numbers beyond {LARGEST:g}")
        if self.normalize != "none":
            sets = [normalized_rows(X, self.normalize, f"batch {m}") for m, X in enumerate(sets)]
            high, low = [X.max(dim=0).values for X in sets], [X.min(dim=0).values for X in sets]
        means: list[Any] = [X.mean(dim=0) for X in sets]
        matrices = products(sets, pairs_of(len(sets)), means)
        return self._packed([*means, *high, *low, *matrices])

    def _checked(self, batches: Sequence[torch.Tensor], device: Any) -> list[torch.Tensor]:
        if len(batches) != len(self.widths):
            raise ValueError(
                f"one batch per model is wanted, {len(self.widths)}, got {len(batches)}"
            )
        for m, (X, width) in enumerate(zip(batches, self.widths, strict=True)):
            if not isinstance(X, torch.Tensor) or not X.is_floating_point():
                what = X.dtype if isinstance(X, torch.Tensor) else type(X).__name__
                raise TypeError(f"batch {m} must be a tensor of floats, got {what}")
            if X.ndim != 2 or X.shape[1] != width or X.shape[0] == 0:
                raise ValueError(f"batch {m} must be (n_samples, {width}), got {tuple(X.shape)}")
            if X.shape[0] != batches[0].shape[0]:
                raise ValueError(
                    "batches must have the same n_samples, row i of each from sample i; got "
                    f"{batches[0].shape[0]} and {X.shape[0]}"
                )
            if X.device != device:
                raise ValueError(
                    f"batch {m} is on {X.device} and the metric on {device}: "
                    "move the metric with .to(device)"
                )
        return [X.detach().to(torch.float64) for X in batches]

    def moments(self, terms: torch.Tensor) -> Moments:
        """Return the accumulator that holds these sums."""
        if terms[-1] == 0:
            return Moments(self.widths, normalize=self.normalize)
        n = len(self.widths)
        parts = [part.numpy().copy() for part in self._parts(terms.detach().cpu())]
        sums = Sums(parts[:n], parts[3 * n :])
        return Moments._of(None, self.normalize, sums, parts[n : 2 * n], parts[2 * n : 3 * n])
