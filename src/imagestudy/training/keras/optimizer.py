"""The training recipe of `descent` in Keras: the same AdamW, clipping, decay and schedule, as one compiled step."""

from functools import lru_cache
from typing import Any

import torch

from imagestudy.models import KerasNetwork
from imagestudy.training.keras.losses import KerasLoss
from imagestudy.training.optimizer import CLIP_NORM, learning_rate_at


@lru_cache(maxsize=1)
def _schedule() -> type:
    import keras
    import tensorflow as tf

    class Schedule(keras.optimizers.schedules.LearningRateSchedule):
        """`learning_rate_at` of every step, looked up."""

        def __init__(self, peak: float, steps: int):
            self.rates = tf.constant([peak * learning_rate_at(step, steps) for step in range(steps)], tf.float32)

        def __call__(self, step: Any) -> Any:
            """The learning rate of a step."""
            return tf.gather(self.rates, tf.cast(step, tf.int64))

    return Schedule


@lru_cache(maxsize=1)
def adamw() -> type:
    """The class of the optimiser."""
    import keras
    import tensorflow as tf

    class TorchAdamW(keras.optimizers.AdamW):
        """AdamW that adds epsilon where PyTorch does, to √(v / (1 − β₂ᵗ)), and not to √v before its bias is corrected."""

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            """Move one variable, a `tf.Variable`, in TensorFlow's one kernel for it."""
            place, step = self._get_variable_index(variable), tf.cast(self.iterations.value + 1, tf.float32)
            power_1, power_2 = self.beta_1**step, self.beta_2**step
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=self._momentums[place].value.handle,
                v=self._velocities[place].value.handle,
                beta1_power=power_1,
                beta2_power=power_2,
                lr=learning_rate,
                beta1=self.beta_1,
                beta2=self.beta_2,
                epsilon=self.epsilon * tf.sqrt(1 - power_2),
                grad=gradient,
            )

        def _backend_update_step(self, grads: list[Any], trainable_variables: list[Any], learning_rate: Any) -> None:
            """Move all, without the sum over replicas, which keeps every compiled step in memory for good."""
            for gradient, variable in zip(grads, trainable_variables, strict=True):
                self.update_step(gradient, variable.value, learning_rate)

    return TorchAdamW


def make_optimizer(network: KerasNetwork, *, steps: int, peak: float, weight_decay: float) -> Any:
    """AdamW on a Keras model: matrices and kernels decay; biases and norms do not. For the arguments see `descent.Descent`."""
    torchs = torch.optim.AdamW([torch.zeros(1)]).defaults
    optimizer = adamw()(
        learning_rate=_schedule()(peak, steps),
        weight_decay=weight_decay,
        beta_1=torchs["betas"][0],
        beta_2=torchs["betas"][1],
        epsilon=torchs["eps"],
        global_clipnorm=CLIP_NORM,
    )
    trained = network.model.trainable_variables
    optimizer.exclude_from_weight_decay(var_list=[variable for variable in trained if len(variable.shape) < 2])
    optimizer.build(trained)
    return optimizer


class KerasDescent:
    """Steps down the mean loss of batches, each compiled once.

    Args:
        network: all of it is trained.
        pay: the loss of each image.
        steps: of the whole descent.
        peak: learning rate, above 0.
        weight_decay: decoupled, a unit of learning rate.
    """

    def __init__(self, network: KerasNetwork, pay: KerasLoss, *, steps: int, peak: float, weight_decay: float):
        self.model = network.model
        self.pay = pay
        self.steps = steps
        self.optimizer = make_optimizer(network, steps=steps, peak=peak, weight_decay=weight_decay)

    def slope(self, images: Any, labels: Any) -> tuple[Any, Any, list[Any]]:
        """Mean loss, logits and gradients of a batch, in training mode; for use inside a compiled function."""
        import tensorflow as tf

        progress = tf.cast(self.optimizer.iterations.value, tf.float64) / self.steps
        with tf.GradientTape() as tape:
            logits = self.model(images, training=True)
            loss = tf.reduce_mean(self.pay(logits, labels, progress))
        return loss, logits, tape.gradient(loss, self.model.trainable_variables)

    def take(self, images: Any, labels: Any) -> tuple[Any, Any]:
        """One step; the mean loss and the logits before it. For use inside a compiled function."""
        loss, logits, gradients = self.slope(images, labels)
        self.optimizer.apply(gradients, self.model.trainable_variables)
        return loss, logits
