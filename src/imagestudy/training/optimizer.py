"""The training recipe of all networks: optimizer, learning rate schedule and gradient clipping."""

import math

import torch
from torch import nn

LEARNING_RATE = 1e-2
"""The default peak learning rate of all networks. It was the best on validation overall (`grids.recipes`, notebook 08_accuracy)."""
WEIGHT_DECAY = 0.05
WARM_UP = 0.1
"""The share of the steps in which the learning rate rises."""
CLIP_NORM = 1.0
"""The largest norm of the gradients."""


def learning_rate_at(step: int, steps: int) -> float:
    """Return the learning rate at a step as a share of the peak learning rate.

    The schedule is a linear warm-up, followed by half a cosine to zero (Loshchilov & Hutter 2017).

    Args:
        step: the index of the step, 0 to steps - 1.
        steps: the total number of steps.
    """
    warm = max(1, round(WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict]:
    """Return the trainable parameters of a module in two groups, with and without weight decay.

    Weight decay applies to matrices and kernels, but not to biases, norms, positions and other vectors.
    """
    trained = [p for p in module.parameters() if p.requires_grad]
    decaying = [p for p in trained if p.ndim >= 2 and not getattr(p, "no_decay", False)]
    known = {id(p) for p in decaying}
    others = [p for p in trained if id(p) not in known]
    return [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


class Descent:
    """AdamW (Loshchilov & Hutter 2019) on a module, with clipped gradients and the schedule of `learning_rate_at`.

    Args:
        module: the module to train. All of its parameters that require gradients are trained.
        steps: the total number of steps.
        peak: the peak learning rate, above 0.
        weight_decay: the decoupled weight decay, per unit of learning rate.
    """

    def __init__(self, module: nn.Module, *, steps: int, peak: float, weight_decay: float):
        self.steps = steps
        self.peak = peak
        self.optimizer = torch.optim.AdamW(parameter_groups(module, weight_decay), lr=peak, fused=True)
        self.parameters = [p for p in module.parameters() if p.requires_grad]

    def take(self, step: int, loss: torch.Tensor) -> None:
        """Take one optimizer step on the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.peak * learning_rate_at(step, self.steps)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, CLIP_NORM, foreach=True)
        self.optimizer.step()
