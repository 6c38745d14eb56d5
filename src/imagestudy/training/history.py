"""The training curve: followed at every step, read off the device only at its points."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

CURVE_POINTS = 20


class DivergedError(RuntimeError):
    """The loss was no finite number."""


@dataclass
class Tracker:
    """Follows the loss and the accuracy on the batches of a training.

    Args:
        steps: of the whole training.
        batch: images a step.
        scores: asked at every point of the curve.
        points: of the curve, or one a step where there are fewer; 0 keeps no curve.
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
        """Note a step. Both buffers are made at the first: one small tensor a step, kept, would leave the memory in fragments."""
        if not self.done:
            self.losses, self.hits = (torch.empty(self.steps, device=loss.device) for _ in range(2))
        self.losses[self.done] = loss
        self.hits[self.done] = (logits.argmax(dim=1) == target).float().mean()
        self.done += 1
        if self.done * self.points // self.steps > (self.done - 1) * self.points // self.steps or self.done == self.steps:
            self._look(self.done * self.batch)

    def _look(self, seen: int) -> None:
        stretch = slice(self.read, self.done)
        loss = self.losses[stretch].mean().item()
        if not math.isfinite(loss):
            raise DivergedError(f"the loss was {loss} after {seen} images")
        if self.points:
            self.rows.append((seen, loss, self.hits[stretch].mean().item(), *self.scores()))
        self.read = self.done

    def curve(self) -> Float[np.ndarray, "point column"]:
        """Images seen, mean loss, accuracy on the batches, and the scores, at every point."""
        return np.array(self.rows, dtype=np.float64).reshape(len(self.rows), -1) if self.rows else np.empty((0, 4))
