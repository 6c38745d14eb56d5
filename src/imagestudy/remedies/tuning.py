"""The trials of "just tune the plain baseline": data, no search."""

from typing import NamedTuple


class Trial(NamedTuple):
    """One setting of the plain training.

    Args:
        learning_rate_factor: multiplies the recipe's learning rate.
        weight_decay: of AdamW (decoupled, per unit of learning rate); None is the recipe's own.
    """

    learning_rate_factor: float
    weight_decay: float | None


TRIALS = tuple(Trial(factor, decay) for decay in (None, 0.5) for factor in (1.0, 1 / 3, 3.0, 1 / 10))
"""The recipe itself comes first: tuning can always choose to change nothing, and a shorter search keeps that choice."""
