"""Keras 3 versions of the convolutional networks, on TensorFlow, with the same layers as those of `models.cnn`.

TensorFlow is an optional dependency. It is imported only when a Keras model is built.
"""

from imagestudy.models.keras import cnn
from imagestudy.models.keras.base import KerasNetwork
from imagestudy.models.keras.runtime import HOW_TO_INSTALL, SETTINGS, is_installed, start
from imagestudy.models.keras.weights import Counterpart, copy_weights, counterparts
