"""A saved model opened: images in, probabilities out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from safetensors import SafetensorError
from safetensors.torch import load as read_weights
from torch import Tensor

from imagestudy.core.errors import InputError
from imagestudy.core.specs import RunSpec
from imagestudy.experiments.dependencies import is_derived, parents
from imagestudy.inference.format import DESCRIPTION_NAME, WEIGHTS_NAME, Description, digest_of, from_json
from imagestudy.inference.networks import Images, LogProbabilities, restore, speaker
from imagestudy.metrics import classification
from imagestudy.models import models
from imagestudy.remedies import remedies
from imagestudy.remedies.posthoc import adjust
from imagestudy.training import ClassicalLearner

EXAMPLES, LABELS = "images", "labels"
"""Names of a classical model's training images and labels in the file of tensors."""


@dataclass(frozen=True)
class SavedModel:
    """A model that can be asked about images.

    Args:
        description: all that is known of it.
        speak: images → log-probabilities, as the learner gives them.
    """

    description: Description
    speak: Callable[[Images], LogProbabilities]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the columns of a prediction."""
        return self.description.classes

    @property
    def side(self) -> int:
        """Height and width of an image, in pixels."""
        return self.description.images.side

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (RGB)."""
        return self.description.images.channels

    def predict_log_proba(self, images: UInt8[np.ndarray, "n height width channel"]) -> Float[np.ndarray, "n class"]:
        """Log-probabilities as the run was scored by: a network's bit for bit, with the correction of a post-hoc remedy.

        Raises:
            InputError: images of another size or number of channels.
        """
        if images.shape[1:] != (self.side, self.side, self.channels):
            given, wanted = ("×".join(map(str, s)) for s in (images.shape[1:], (self.side, self.side, self.channels)))
            raise InputError(f"images of {given} were given; the model takes {wanted}: height, width, channels")
        if not len(images):
            return np.empty((0, len(self.classes)))
        said, tau = self.speak(images), self.description.tau
        return said if tau is None else adjust(said, np.array(self.description.counts, dtype=np.int64), tau=tau)

    def predict_proba(self, images: UInt8[np.ndarray, "n height width channel"]) -> Float[np.ndarray, "n class"]:
        """Probabilities at the temperature that fits best on validation: as sure as the model may be, its decisions the same."""
        return np.exp(classification.temper(self.predict_log_proba(images), temperature=self.description.temperature))


def load(folder: Path) -> SavedModel:
    """Open a saved model.

    A classical model is fitted again, on the same images and with the same draws, so that it decides the same; that takes as long
    as its training did.

    Raises:
        InputError: no model there, a damaged one, or one that another version of imagestudy made.
    """
    description, tensors = read(folder)
    if description.is_network:
        network = restore(description, tensors, where=folder / WEIGHTS_NAME)
        return SavedModel(description, speaker(network, description.run.training))
    return SavedModel(description, _fit_again(description, tensors, where=folder / WEIGHTS_NAME).predict_log_proba)


def read(folder: Path) -> tuple[Description, dict[str, Tensor]]:
    """What the two files of a model hold, checked as far as they can be without building it.

    Raises:
        InputError: see `load`.
    """
    contents = []
    for name in (DESCRIPTION_NAME, WEIGHTS_NAME):
        try:
            contents.append((folder / name).read_bytes())
        except FileNotFoundError:
            raise InputError(f"no model in {str(folder)!r}: {name} is missing; a study makes such a folder") from None
        except OSError as error:
            raise InputError(f"no model in {str(folder)!r}: {name} cannot be read: {error.strerror or error}") from None
    description = from_json(contents[0], where=folder / DESCRIPTION_NAME)
    models.check(description.model, where=str(folder / DESCRIPTION_NAME))
    file = folder / WEIGHTS_NAME
    if digest_of(contents[1]) != description.digest:
        raise InputError(f"{file} is damaged, or belongs to another {DESCRIPTION_NAME} than the one beside it")
    try:
        return description, read_weights(contents[1])
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{file} is damaged: {' '.join(str(error).split())}") from None


def trained_run(run: RunSpec) -> RunSpec:
    """The run that is trained: the run itself, or plain training for a post-hoc remedy."""
    return parents(run)[0] if is_derived(run) else run


def _fit_again(description: Description, tensors: Mapping[str, Tensor], *, where: Path) -> ClassicalLearner:
    remedies.check(description.run.remedy, where=str(where))
    missing = [name for name in (EXAMPLES, LABELS) if name not in tensors]
    if missing:
        raise InputError(f"{where} lacks {missing[0]!r}, which a classical model is fitted again on")
    images, labels = tensors[EXAMPLES].numpy(), tensors[LABELS].numpy()
    shape = (*labels.shape, description.images.side, description.images.side, description.images.channels)
    if images.shape != shape or images.dtype != np.uint8 or labels.dtype != np.int64:
        raise InputError(
            f"{where}: images are {images.dtype} {images.shape} and labels {labels.dtype}; needed: uint8 {shape} and int64"
        )
    if labels.min(initial=0) < 0 or np.bincount(labels, minlength=len(description.classes)).tolist() != list(description.counts):
        raise InputError(f"{where}: the labels do not count as model.json says, {list(description.counts)}")
    learner = ClassicalLearner(trained_run(description.run), len(description.classes)).fit(images, labels)
    learner.temperature = description.decision_temperature or 1.0
    return learner
