"""Atomic numbers that occur in training sets which several models share."""

from __future__ import annotations

# All up to plutonium but Po, At, Rn, Fr and Ra: Deng et al., Nat. Mach. Intell. 5, 1031 (2023).
MPTRJ = frozenset(range(1, 95)) - frozenset(range(84, 89))
