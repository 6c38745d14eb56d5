"""Setting a model's width such that its number of parameters meets a budget."""

from collections.abc import Callable

import torch

from imagestudy.errors import InputError
from imagestudy.models.network import Network, count_parameters

TOLERANCE = 0.10
"""How far from the budget, as a share of it, a model may land."""

WIDEST = 4096


def fitting_width(build: Callable[[int], Network], params: int, *, step: int, name: str) -> int:
    """The multiple of `step` whose number of parameters is nearest to `params`.

    Args:
        build: width → network, with a number of parameters that grows with the width.
        params: the budget.
        step: the width is a multiple of it, such as the number of heads.
        name: of the model, for the error.

    Raises:
        InputError: no width lands within 10 % of the budget.
    """
    below, above = 1, 2
    while _count(build, above * step) < params and above * step < WIDEST:
        below, above = above, 2 * above
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (middle, above) if _count(build, middle * step) <= params else (below, middle)
    counts = {k * step: _count(build, k * step) for k in (below, above)}
    width = min(counts, key=lambda w: (abs(counts[w] - params), w))
    if abs(counts[width] - params) > TOLERANCE * params:
        offered = " or ".join(f"{count:,} (width {w})" for w, count in counts.items())
        raise InputError(f"model {name!r} cannot have {params:,} parameters within {TOLERANCE:.0%}; the nearest are {offered}")
    return width


def _count(build: Callable[[int], Network], width: int) -> int:
    """Built under a copy of torch's generator, so that looking for a width leaves the initialisation that follows alone."""
    with torch.random.fork_rng(devices=[]):
        return count_parameters(build(width))
