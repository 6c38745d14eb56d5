"""Load a saved model and predict probabilities for images."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from safetensors import SafetensorError
from safetensors.torch import load as read_weights
from torch import Tensor

from imagestudy.core import plugins
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
"""Names of the training images and labels of a classical model in `model.safetensors`."""


@dataclass(frozen=True)
class SavedModel:
    """A loaded model that predicts the classes of images.

    Args:
        description: content of `model.json`.
        speak: function images → log-probabilities of the learner, before any correction.
    """

    description: Description
    speak: Callable[[Images], LogProbabilities]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the columns of a prediction."""
        return self.description.classes

    @property
    def side(self) -> int:
        """Height and width of the input images, in pixels."""
        return self.description.images.side

    @property
    def channels(self) -> int:
        """Number of channels of the input images: 1 (gray) or 3 (RGB)."""
        return self.description.images.channels

    def predict_log_proba(self, images: UInt8[np.ndarray, "n height width channel"]) -> Float[np.ndarray, "n class"]:
        """Return the log-probabilities that the scores of the run are based on, corrected if the remedy is post-hoc.

        For a network they are identical bit for bit.

        Raises:
            InputError: if the images have another size or number of channels than the model takes.
        """
        if images.shape[1:] != (self.side, self.side, self.channels):
            given, wanted = ("×".join(map(str, s)) for s in (images.shape[1:], (self.side, self.side, self.channels)))
            raise InputError(f"the images are {given}, but the model takes {wanted} (height, width, channels)")
        if not len(images):
            return np.empty((0, len(self.classes)))
        log_proba, tau = self.speak(images), self.description.tau
        return log_proba if tau is None else adjust(log_proba, np.array(self.description.counts, dtype=np.int64), tau=tau)

    def predict_proba(self, images: UInt8[np.ndarray, "n height width channel"]) -> Float[np.ndarray, "n class"]:
        """Return probabilities at the temperature fitted on validation, which changes confidence but not the predicted class."""
        return np.exp(classification.temper(self.predict_log_proba(images), temperature=self.description.temperature))


def load(folder: Path) -> SavedModel:
    """Load a saved model.

    A classical model is fitted again on the same images with the same random numbers, so its predictions are the same. This takes
    as long as its training.

    Args:
        folder: folder of the saved model.

    Raises:
        InputError: if the folder contains no model, the model is damaged, or another version of imagestudy made it.
    """
    description, tensors = read(folder)
    if description.is_network:
        network = restore(description, tensors, where=folder / WEIGHTS_NAME)
        return SavedModel(description, speaker(network, description.run.training))
    return SavedModel(description, _fit_again(description, tensors, where=folder / WEIGHTS_NAME).predict_log_proba)


def read(folder: Path) -> tuple[Description, dict[str, Tensor]]:
    """Return the description and the tensors of a saved model, checked as far as possible without building the model.

    Raises:
        InputError: see `load`.
    """
    contents = []
    for name in (DESCRIPTION_NAME, WEIGHTS_NAME):
        try:
            contents.append((folder / name).read_bytes())
        except FileNotFoundError:
            raise InputError(
                f"no model in {str(folder)!r}: {name} is missing; a study with a recommendation writes such a folder"
            ) from None
        except OSError as error:
            raise InputError(f"no model in {str(folder)!r}: {name} cannot be read: {error.strerror or error}") from None
    description = from_json(contents[0], where=folder / DESCRIPTION_NAME)
    _require_plugins(description, where=str(folder / DESCRIPTION_NAME))
    models.check(description.model, where=str(folder / DESCRIPTION_NAME))
    file = folder / WEIGHTS_NAME
    if digest_of(contents[1]) != description.digest:
        raise InputError(f"{file} is damaged, or does not belong to the {DESCRIPTION_NAME} in the same folder")
    try:
        return description, read_weights(contents[1])
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{file} is damaged: {' '.join(str(error).split())}") from None


def _require_plugins(description: Description, *, where: str) -> None:
    """Raise `InputError` unless the plug-ins of the model are loaded, with the content that they had when it was saved."""
    for name, digest in description.plugins.items():
        if digest in plugins.loaded().values():
            continue
        changed = Path(name).name in {file.name for file in plugins.loaded()}
        reason = (
            "has changed since the model was saved"
            if changed
            else "is not loaded; give its path with --plugin, which runs its code"
        )
        raise InputError(f"{where} needs the plug-in {name}, which {reason}")


def trained_run(run: RunSpec) -> RunSpec:
    """Return the run that is trained: the run itself, or plain training for a post-hoc remedy."""
    return parents(run)[0] if is_derived(run) else run


def _fit_again(description: Description, tensors: Mapping[str, Tensor], *, where: Path) -> ClassicalLearner:
    remedies.check(description.run.remedy, where=str(where))
    missing = [name for name in (EXAMPLES, LABELS) if name not in tensors]
    if missing:
        raise InputError(f"{where} has no tensor {missing[0]!r}, which is needed to fit a classical model again")
    images, labels = tensors[EXAMPLES].numpy(), tensors[LABELS].numpy()
    shape = (*labels.shape, description.images.side, description.images.side, description.images.channels)
    if images.shape != shape or images.dtype != np.uint8 or labels.dtype != np.int64:
        raise InputError(
            f"{where}: images are {images.dtype} {images.shape} and labels are {labels.dtype}; needed are uint8 {shape} and int64"
        )
    if labels.min(initial=0) < 0 or np.bincount(labels, minlength=len(description.classes)).tolist() != list(description.counts):
        raise InputError(f"{where}: the labels do not match the class counts in model.json, {list(description.counts)}")
    learner = ClassicalLearner(trained_run(description.run), len(description.classes)).fit(images, labels)
    learner.temperature = description.decision_temperature or 1.0
    return learner
