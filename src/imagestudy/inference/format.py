"""What `model.json` says, and how it is read: strictly, with a sentence for everything that is wrong."""

import hashlib
import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationError, model_validator

from imagestudy.core.errors import InputError, sentence
from imagestudy.core.specs import ModelSpec, RunSpec, Spec

FORMAT = 1
WEIGHTS_NAME, DESCRIPTION_NAME = "model.safetensors", "model.json"

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class ImageFormat(Spec):
    """What images are made to before the model sees them, see `data.folders.decode`."""

    side: int = Field(gt=0)
    channels: Literal[1, 3]
    fit: Literal["pad", "stretch", "crop"]
    colours: Literal["grey", "rgb"]


class Normalisation(Spec):
    """Mean and standard deviation of each channel of the training images, in units of the full range (255)."""

    mean: tuple[Finite, ...]
    deviation: tuple[Positive, ...]


class Head(Spec):
    """The last layer, which remedies exchange.

    Args:
        kind: `linear`; `cosine` (see `models.heads.CosineHead`), with its `scale`; `scaled`: linear with a factor a class.
        bias: whether its linear layer has one.
        scale: of a cosine head.
    """

    kind: Literal["linear", "cosine", "scaled"] = "linear"
    bias: bool = True
    scale: Positive | None = None


class Description(Spec):
    """All that is known of a saved model.

    Args:
        format: version of this form.
        classes: their names, in label order.
        counts: training images of each class.
        images: side, channels, fit and colours.
        normalisation: of a network; None for a classical model.
        model: name and options, its width as it was set.
        remedy: what was done about imbalance, in words of the study.
        head, layers: of a network: its last layer, and all of them as PyTorch prints them.
        tau: of a post-hoc remedy: log p_c − τ log n_c, with n from `counts`, normalised again; None without one.
        temperature: fitted on validation; probabilities are the softmax of the (corrected) log-probabilities divided by it. It
            changes how sure the model is and never what it decides, and the scores of the study are those without it.
        decision_temperature: of a classical model, by which its decision values are divided to become log-probabilities.
        validation: balanced accuracy of these very weights on the run's validation images.
        digest: of `model.safetensors`, so that the two files are known to belong together.
        run: the run, defaults left out; it trains the same model again.
        scores, provenance: what whoever saved it wanted to be known.
    """

    format: Literal[1]
    classes: tuple[str, ...] = Field(min_length=2)
    counts: tuple[int, ...]
    images: ImageFormat
    normalisation: Normalisation | None
    model: ModelSpec
    remedy: str
    head: Head | None
    layers: tuple[str, ...]
    tau: Finite | None
    temperature: Positive
    decision_temperature: Positive | None
    validation: float
    digest: str
    run: RunSpec
    scores: dict[str, Any]
    provenance: dict[str, Any]

    @model_validator(mode="after")
    def _fits_together(self) -> "Description":
        channels, classes = self.images.channels, len(self.classes)
        given = self.normalisation
        if given is not None and {len(given.mean), len(given.deviation)} != {channels}:
            raise ValueError(f"the normalisation is not one of {channels} channels")
        if len(self.counts) != classes:
            raise ValueError(f"counts of {len(self.counts)} classes were given for {classes} classes")
        if (self.normalisation is None) != (self.head is None) or (self.head is None) != (self.decision_temperature is not None):
            raise ValueError("a network has normalisation and head, a classical model a decision_temperature")
        return self

    @property
    def is_network(self) -> bool:
        """Whether the file beside holds weights; a classical model's holds its training images."""
        return self.head is not None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        return self.images.channels, self.images.side, self.images.side


def digest_of(content: bytes) -> str:
    """Thirty-two hexadecimal digits that name a file's content."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def to_json(description: Description) -> bytes:
    """The text of `model.json`; numbers that are not finite become null."""
    content = description.model_dump(mode="json") | {"run": description.run.canonical()}
    content |= {name: plain(content[name]) for name in ("scores", "provenance")}
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def plain(value: Any) -> Any:
    """The value in JSON's own types: NumPy's numbers as Python's, what is not finite as None, all else that JSON lacks as text."""
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
    """Read `model.json`.

    Raises:
        InputError: no JSON, another format, a key that is missing, unknown or of a wrong kind.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise InputError(f"{where} is damaged: it is not readable as JSON") from None
    if not isinstance(found, dict) or "format" not in found:
        raise InputError(f"{where} describes no model: key 'format' is missing")
    if found["format"] != FORMAT:
        raise InputError(f"{where} is of format {found['format']!r}; this version of imagestudy reads format {FORMAT}")
    try:
        return Description.model_validate_json(content)
    except ValidationError as error:
        raise InputError(sentence(error, what="the model", where=str(where)).splitlines()[0]) from None
