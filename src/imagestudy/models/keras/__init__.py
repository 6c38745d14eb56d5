"""The convolutional networks once more, in Keras 3 on TensorFlow, layer for layer those of `models.cnn`.

TensorFlow is an extra: it is imported where a model is built, and nowhere else.
"""

from imagestudy.models.keras import cnn  # noqa: F401  (registers its models)
from imagestudy.models.keras.backend import HOW_TO_INSTALL, SETTINGS, is_installed, start
from imagestudy.models.keras.copying import Counterpart, copy_weights, counterparts
from imagestudy.models.keras.network import KerasNetwork

__all__ = [
    "HOW_TO_INSTALL",
    "SETTINGS",
    "Counterpart",
    "KerasNetwork",
    "copy_weights",
    "counterparts",
    "is_installed",
    "start",
]
