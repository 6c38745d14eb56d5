"""The convolutional networks once more, in Keras 3 on TensorFlow, layer for layer those of `models.cnn`.

TensorFlow is an extra: it is imported where a model is built, and nowhere else.
"""

from imagestudy.models.keras import cnn
from imagestudy.models.keras.base import KerasNetwork
from imagestudy.models.keras.runtime import HOW_TO_INSTALL, SETTINGS, is_installed, start
from imagestudy.models.keras.weights import Counterpart, copy_weights, counterparts
