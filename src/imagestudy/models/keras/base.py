"""What the Keras models share: their form, and how their weights are drawn."""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import torch

from imagestudy.models.base import Shape


@dataclass(frozen=True)
class KerasNetwork:
    """A Keras model that gives logits.

    Args:
        model: a `keras.Model`, float32 images (batch, height, width, channel) → logits (batch, class).
        shape: channels, height and width of an image.
        classes: number of classes.
    """

    model: Any
    shape: Shape
    classes: int

    def count_parameters(self) -> int:
        """The number of trained parameters."""
        return sum(int(torch.Size(v.shape).numel()) for v in self.model.trainable_variables)


class Draws:
    """Initialisers of Keras that follow the formulas of the PyTorch models; each takes its seed from torch's global generator.

    So a Keras model is drawn under the same generator as any other network.
    """

    def _scaled(self, scale: float, mode: str, distribution: str) -> Any:
        import keras

        return keras.initializers.VarianceScaling(scale, mode, distribution, seed=draw_seed())

    def he(self) -> Any:
        """Normal, not truncated, variance 2 / fan out: torch's `kaiming_normal_(mode="fan_out")`."""
        return self._scaled(2.0, "fan_out", "untruncated_normal")

    def xavier(self) -> Any:
        """Uniform, variance 2 / (fan in + fan out): torch's `xavier_uniform_`."""
        return self._scaled(1.0, "fan_avg", "uniform")

    def plain(self) -> Any:
        """Uniform in ±1/√fan in: the weights of torch's `Linear` and `Conv2d` where nothing else draws them."""
        return self._scaled(1 / 3, "fan_in", "uniform")

    def plain_bias(self, fan_in: int) -> Any:
        """Uniform in ±1/√fan in: their biases."""
        import keras

        return keras.initializers.RandomUniform(-1 / sqrt(fan_in), 1 / sqrt(fan_in), seed=draw_seed())


def draw_seed() -> int:
    """A seed from torch's global generator."""
    return int(torch.randint(2**31 - 1, ()))
