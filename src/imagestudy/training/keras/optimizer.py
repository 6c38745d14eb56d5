"""The recipe of `training.optimizer` in Keras: the same AdamW, clipping, weight decay and schedule, as one compiled step."""

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
        """The schedule of `learning_rate_at`, stored as a table of all steps."""

        def __init__(self, peak: float, steps: int):
            self.rates = tf.constant([peak * learning_rate_at(step, steps) for step in range(steps)], tf.float32)

        def __call__(self, step: Any) -> Any:
            """Return the learning rate of a step."""
            return tf.gather(self.rates, tf.cast(step, tf.int64))

    return Schedule


@lru_cache(maxsize=1)
def adamw() -> type:
    """Return the class of the optimizer."""
    import keras
    import tensorflow as tf

    class TorchAdamW(keras.optimizers.AdamW):
        """AdamW that adds epsilon as PyTorch does, to √(v / (1 − β₂ᵗ)), and not to √v before the bias correction."""

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            """Update one variable, a `tf.Variable`, with a single TensorFlow kernel."""
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
            """Update all variables. The sum over replicas is skipped, because it keeps every compiled step in memory forever."""
            for gradient, variable in zip(grads, trainable_variables, strict=True):
                self.update_step(gradient, variable.value, learning_rate)

    return TorchAdamW


def make_optimizer(network: KerasNetwork, *, steps: int, peak: float, weight_decay: float) -> Any:
    """Return AdamW for a Keras model. Weight decay applies to matrices and kernels, but not to biases and norms.

    See `training.optimizer.Descent` for the arguments.
    """
    torch_defaults = torch.optim.AdamW([torch.zeros(1)]).defaults
    optimizer = adamw()(
        learning_rate=_schedule()(peak, steps),
        weight_decay=weight_decay,
        beta_1=torch_defaults["betas"][0],
        beta_2=torch_defaults["betas"][1],
        epsilon=torch_defaults["eps"],
        global_clipnorm=CLIP_NORM,
    )
    trained = network.model.trainable_variables
    optimizer.exclude_from_weight_decay(var_list=[variable for variable in trained if len(variable.shape) < 2])
    optimizer.build(trained)
    return optimizer


class KerasDescent:
    """Train a Keras network on the mean loss of batches, with the recipe of `training.optimizer`.

    Args:
        network: the network. All of its trainable variables are trained.
        pay: the function that returns the loss of each image.
        steps: the total number of steps.
        peak: the peak learning rate, above 0.
        weight_decay: the decoupled weight decay, per unit of learning rate.
    """

    def __init__(self, network: KerasNetwork, pay: KerasLoss, *, steps: int, peak: float, weight_decay: float):
        self.model = network.model
        self.pay = pay
        self.steps = steps
        self.optimizer = make_optimizer(network, steps=steps, peak=peak, weight_decay=weight_decay)

    def slope(self, images: Any, labels: Any) -> tuple[Any, Any, list[Any]]:
        """Return the mean loss, the logits and the gradients of a batch in training mode. Call it inside a compiled function."""
        import tensorflow as tf

        progress = tf.cast(self.optimizer.iterations.value, tf.float64) / self.steps
        with tf.GradientTape() as tape:
            logits = self.model(images, training=True)
            loss = tf.reduce_mean(self.pay(logits, labels, progress))
        return loss, logits, tape.gradient(loss, self.model.trainable_variables)

    def take(self, images: Any, labels: Any) -> tuple[Any, Any]:
        """Take one step; return the mean loss and the logits before the step. Call it inside a compiled function."""
        loss, logits, gradients = self.slope(images, labels)
        self.optimizer.apply(gradients, self.model.trainable_variables)
        return loss, logits
