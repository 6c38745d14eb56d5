"""Learners with a scikit-learn interface: networks in PyTorch, networks in Keras, and classical models."""

from imagestudy.training.history import CURVE_POINTS, DivergedError
from imagestudy.training.keras.learner import KerasLearner
from imagestudy.training.learner import Learner, followed_remedies, make_learner
from imagestudy.training.optimizer import LEARNING_RATE, learning_rate_at
from imagestudy.training.sklearn_learner import ClassicalLearner
from imagestudy.training.torch_learner import TorchLearner
