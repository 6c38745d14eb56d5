"""Write and read `model.json`. Reading is strict, and every error is reported as one sentence."""

import hashlib
import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationError, model_validator

from imagestudy.core.errors import InputError, sentence
from imagestudy.core.specs import ModelSpec, RunSpec, Spec
from imagestudy.remedies.heads import SavedHead

FORMAT = 1
"""Version of the format of `model.json`."""
WEIGHTS_NAME, DESCRIPTION_NAME = "model.safetensors", "model.json"

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class ImageFormat(Spec):
    """The form of the images that the model takes; see `data.folders.decoding`."""

    side: int = Field(gt=0)
    channels: Literal[1, 3]
    fit: Literal["pad", "stretch", "crop"]
    colours: Literal["grey", "rgb"]


class Normalization(Spec):
    """Mean and standard deviation of each channel of the training images, as shares of the full range (255)."""

    mean: tuple[Finite, ...]
    deviation: tuple[Positive, ...]


class Description(Spec):
    """Description of a saved model, the content of `model.json`.

    Args:
        format: version of the format.
        classes: class names in label order.
        counts: number of training images of each class.
        images: side, channels, fit and colors of the images.
        normalisation: normalization of the input of a network; None for a classical model.
        model: name and options of the model, including its actual width.
        remedy: label of the imbalance remedy, as in the study file.
        head: last layer of a network; None for a classical model.
        layers: all layers of a network as PyTorch prints them; empty for a classical model.
        tau: strength τ of a post-hoc remedy, which replaces log p_c by log p_c − τ log n_c (n from `counts`) and normalizes again;
            None without such a remedy.
        temperature: temperature fitted on validation. Probabilities are the softmax of the (corrected) log-probabilities divided by
            it. It changes the confidence and never the predicted class. The scores of the study do not use it.
        decision_temperature: number by which the decision values of a classical model are divided to become log-probabilities; None
            for a network.
        validation: balanced accuracy of the saved weights on the validation images of the run.
        digest: digest of `model.safetensors`, which shows that the two files belong together.
        run: spec of the run without default values; training it again gives the same model.
        plugins: name of each plug-in file that the run needs → digest of its content.
        scores: scores that the caller of `save` passed.
        provenance: origin that the caller of `save` passed, with date and versions.
    """

    format: Literal[1]
    classes: tuple[str, ...] = Field(min_length=2)
    counts: tuple[int, ...]
    images: ImageFormat
    normalisation: Normalization | None
    model: ModelSpec
    remedy: str
    head: SavedHead | None
    layers: tuple[str, ...]
    tau: Finite | None
    temperature: Positive
    decision_temperature: Positive | None
    validation: float
    digest: str
    run: RunSpec
    plugins: dict[str, str] = Field(default_factory=dict)
    scores: dict[str, Any]
    provenance: dict[str, Any]

    @model_validator(mode="after")
    def _fits_together(self) -> "Description":
        channels, classes = self.images.channels, len(self.classes)
        given = self.normalisation
        if given is not None and {len(given.mean), len(given.deviation)} != {channels}:
            raise ValueError(f"the normalisation needs one mean and one deviation for each of {channels} channels")
        if len(self.counts) != classes:
            raise ValueError(f"counts has {len(self.counts)} entries for {classes} classes")
        if (self.normalisation is None) != (self.head is None) or (self.head is None) != (self.decision_temperature is not None):
            raise ValueError("a network needs normalisation and head, and a classical model needs decision_temperature instead")
        return self

    @property
    def is_network(self) -> bool:
        """Whether the model is a network. Then `model.safetensors` contains its weights, otherwise training images and labels."""
        return self.head is not None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of channels, height and width of an image."""
        return self.images.channels, self.images.side, self.images.side


def digest_of(content: bytes) -> str:
    """Return the digest of the content of a file, as 32 hexadecimal digits."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def to_json(description: Description) -> bytes:
    """Return the content of `model.json`; infinite and missing numbers become null."""
    content = description.model_dump(mode="json") | {"run": description.run.canonical()}
    content |= {name: plain(content[name]) for name in ("scores", "provenance")}
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def plain(value: Any) -> Any:
    """Return the value in JSON types.

    NumPy numbers become Python numbers, infinite and missing numbers become None, and values of other types become text.
    """
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def from_json(content: bytes, *, where: Path) -> Description:
    """Read the content of `model.json`.

    Args:
        content: content of the file.
        where: path of the file, for error messages.

    Raises:
        InputError: if the content is not JSON, has another format, or has a missing, unknown or invalid key.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise InputError(f"{where} is damaged: it cannot be read as JSON") from None
    if not isinstance(found, dict) or "format" not in found:
        raise InputError(f"{where} does not describe a model: key 'format' is missing")
    if found["format"] != FORMAT:
        raise InputError(f"{where} has format {found['format']!r}; this version of imagestudy reads format {FORMAT}")
    try:
        return Description.model_validate_json(content)
    except ValidationError as error:
        raise InputError(sentence(error, what="the model", where=str(where)).splitlines()[0]) from None
