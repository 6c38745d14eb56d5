"""Record the training curve. Every step is stored on the device; values are copied to the CPU only at the points of the curve."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

CURVE_POINTS = 20
"""The default number of points of a training curve."""


class DivergedError(RuntimeError):
    """The training loss became NaN or infinite."""


@dataclass
class Tracker:
    """Record the loss and the accuracy on the training batches.

    Args:
        steps: the number of training steps.
        batch: the number of images per step.
        scores: a function that returns further scores. It is called at every point of the curve.
        points: the number of points of the curve. With fewer steps than points, every step is a point. 0 records no curve.
    """

    steps: int
    batch: int
    scores: Callable[[], tuple[float, ...]]
    points: int = CURVE_POINTS
    rows: list[tuple[float, ...]] = field(default_factory=list)
    done: int = 0
    read: int = 0
    losses: Float[Tensor, " step"] = field(init=False)
    hits: Float[Tensor, " step"] = field(init=False)

    def follow(self, loss: Tensor, logits: Tensor, target: Tensor) -> None:
        """Record one step.

        Both buffers are allocated at the first step. Keeping one small tensor per step would fragment the memory.
        """
        if not self.done:
            self.losses, self.hits = (torch.empty(self.steps, device=loss.device) for _ in range(2))
        self.losses[self.done] = loss
        self.hits[self.done] = (logits.argmax(dim=1) == target).float().mean()
        self.done += 1
        if self.done * self.points // self.steps > (self.done - 1) * self.points // self.steps or self.done == self.steps:
            self._add_point(self.done * self.batch)

    def _add_point(self, seen: int) -> None:
        stretch = slice(self.read, self.done)
        loss = self.losses[stretch].mean().item()
        if not math.isfinite(loss):
            raise DivergedError(f"the loss was {loss} after {seen} images")
        if self.points:
            self.rows.append((seen, loss, self.hits[stretch].mean().item(), *self.scores()))
        self.read = self.done

    def curve(self) -> Float[np.ndarray, "point column"]:
        """Return the curve, one row per point: images seen, mean loss, accuracy on the batches, and the scores."""
        return np.array(self.rows, dtype=np.float64).reshape(len(self.rows), -1) if self.rows else np.empty((0, 4))
