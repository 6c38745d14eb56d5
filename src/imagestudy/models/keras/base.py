"""What all Keras models share: their structure and the initialization of their weights."""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import torch

from imagestudy.models.base import Shape


@dataclass(frozen=True)
class KerasNetwork:
    """A Keras model that returns logits.

    Args:
        model: a `keras.Model`, float32 images (batch, height, width, channel) → logits (batch, class).
        shape: channels, height and width of an image.
        classes: number of classes.
    """

    model: Any
    shape: Shape
    classes: int

    def count_parameters(self) -> int:
        """Return the number of trainable parameters."""
        return sum(int(torch.Size(v.shape).numel()) for v in self.model.trainable_variables)


class Draws:
    """Keras initializers with the formulas of the PyTorch models, each seeded from torch's global generator.

    Keras models and PyTorch networks are therefore initialized from the same generator.
    """

    def _scaled(self, scale: float, mode: str, distribution: str) -> Any:
        import keras

        return keras.initializers.VarianceScaling(scale, mode, distribution, seed=draw_seed())

    def he(self) -> Any:
        """Return an untruncated normal initializer with variance 2 / fan out, as torch's `kaiming_normal_(mode="fan_out")`."""
        return self._scaled(2.0, "fan_out", "untruncated_normal")

    def xavier(self) -> Any:
        """Return a uniform initializer with variance 2 / (fan in + fan out), as torch's `xavier_uniform_`."""
        return self._scaled(1.0, "fan_avg", "uniform")

    def plain(self) -> Any:
        """Return a uniform initializer in ±1/√fan in, the default for weights of torch's `Linear` and `Conv2d`."""
        return self._scaled(1 / 3, "fan_in", "uniform")

    def plain_bias(self, fan_in: int) -> Any:
        """Return a uniform initializer in ±1/√fan in, the default for biases of torch's `Linear` and `Conv2d`."""
        import keras

        return keras.initializers.RandomUniform(-1 / sqrt(fan_in), 1 / sqrt(fan_in), seed=draw_seed())


def draw_seed() -> int:
    """Draw a seed from torch's global generator."""
    return int(torch.randint(2**31 - 1, ()))
