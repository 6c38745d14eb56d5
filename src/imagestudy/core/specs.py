"""Immutable specs of everything that a run depends on.

The id of a run is a hash of its spec without the fields that have their default value. Adding a field with a default later
therefore keeps the ids of all recorded runs.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

S = TypeVar("S", bound="Spec")
Scalar = bool | int | float | str
SEED_STREAMS = ("draw", "order", "init", "batches")
RECIPE_VERSION = 2
"""The version of the training recipe in `imagestudy.training`. It is increased when a fix changes the results of a run."""
TRIAL_SEED = 1_000
"""The first seed of tuning trials. Runs with these seeds are used for selection only and are never reported."""
MOVED_BY = 100
"""The number added to the seed of a random stream that is reseeded while other streams of the run stay fixed."""


class Spec(BaseModel):
    """Base class of all specs: immutable, with strict types. An unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def canonical(self) -> dict[str, Any]:
        """Return the spec as plain JSON values, without fields that have their default value."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def key(self) -> str:
        """Return the canonical form as one line of text, for hashing and as a cache key."""
        return json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"))

    def with_(self: S, **changes: Any) -> S:
        """Return a copy with the given fields changed, or the spec itself if nothing changes. The changes are not validated."""
        return self if all(getattr(self, name) is value for name, value in changes.items()) else self.model_copy(update=changes)

    def model_copy(self: S, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> S:
        """Return a copy with the given fields changed; a run id that was computed for this spec is not copied."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("run_id", None)
        return copied


class Choice(Spec):
    """A registered name with its options. In YAML, a bare name is enough if no options are set.

    `version` is the version that was registered under the name when the run was declared (see `registry.Registry.stamp`).
    `source` is the digest of the plug-in that registers the name; it is empty for a built-in name.
    """

    name: str
    options: dict[str, Scalar] = Field(default_factory=dict)
    version: int = 1
    source: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_bare_name(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given

    @property
    def label(self) -> str:
        """The name, followed by the options if any are set: `median(size=3)`."""
        inside = ", ".join(f"{k}={v}" for k, v in self.options.items())
        return f"{self.name}({inside})" if inside else self.name


class ModelSpec(Choice):
    """A model and its size.

    `params` is a target number of parameters. The width of the model is chosen to meet it within 10 %. None keeps the model's
    default size.
    """

    params: int | None = Field(default=None, gt=0)


class ProfileSpec(Spec):
    """How the training set is made imbalanced.

    Args:
        name: balanced, exponential (Cui et al. 2019), step (Buda et al. 2018), or natural.
        ratio: the largest class count divided by the smallest, at least 1.
        size: the number of training images of a balanced profile. None takes the largest number that every class can provide.
        largest: the number of images of the largest class of an exponential or step profile. None takes the largest number that
            every class can provide.
    """

    name: Literal["balanced", "exponential", "step", "natural"] = "balanced"
    ratio: float = Field(default=1.0, ge=1)
    size: int | None = Field(default=None, gt=0)
    largest: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _fits_together(self) -> "ProfileSpec":
        if self.name in ("balanced", "natural") and self.ratio != 1:
            raise ValueError(f"a {self.name} profile takes no ratio; only exponential and step profiles do")
        if self.name != "balanced" and self.size is not None:
            raise ValueError("only a balanced profile takes a size")
        if self.name in ("balanced", "natural") and self.largest is not None:
            raise ValueError(f"a {self.name} profile takes no largest class; only exponential and step profiles do")
        return self

    @property
    def label(self) -> str:
        """A short name of the profile, such as `exponential 50`, `balanced` or `balanced, 257 images`."""
        if self.name in ("exponential", "step"):
            return f"{self.name} {self.ratio:g}" + (f", largest {self.largest}" if self.largest else "")
        return self.name if self.size is None else f"{self.name}, {self.size} images"


class PreprocessingSpec(Spec):
    """How the images are processed.

    Noise is added first, then the steps are applied, both once. Augmentation is drawn again for every training batch.
    """

    noise: Choice | None = None
    steps: tuple[Choice, ...] = ()
    augment: tuple[Choice, ...] = ()


class TrainingSpec(Spec):
    """The settings of the training recipe.

    Args:
        images_seen: the training budget as the number of images shown to the learner. Repeated images count each time.
        batch: the number of images per step.
        learning_rate, weight_decay: of AdamW (Loshchilov & Hutter 2019). None takes the recipe's default.
        threads: the number of threads of one operation.
        device: where the model is trained.
        dtype: the precision of the forward pass.
        version: the version of the recipe, see `RECIPE_VERSION`.
    """

    images_seen: int = Field(default=40_000, gt=0)
    batch: int = Field(default=64, gt=0)
    learning_rate: float | None = Field(default=None, gt=0)
    weight_decay: float | None = Field(default=None, ge=0)
    threads: int = Field(default=1, gt=0)
    device: Literal["cpu", "cuda"] = "cpu"
    dtype: Literal["float32", "bfloat16"] = "float32"
    version: int = 1


class RunSpec(Spec):
    """One model trained once. Runs with the same seed share every source of randomness in all cells of a study.

    `kind` is the purpose of the run. A `run` is scored once on the test images. A `trial` (of tuning) never uses the test images.
    `cost` measures time and memory and keeps no score. `start` measures the time and memory needed to reach the first step. A
    `diagnostic` is scored on the test images repeatedly during training, to show the effect of doing so; it keeps nothing that
    could be used for a choice.

    `split` is the number of a redrawn split, for a dataset without its own test set where every run uses a different split. None
    is the one fixed split of the dataset.
    """

    dataset: Choice
    model: ModelSpec
    profile: ProfileSpec = ProfileSpec()
    preprocessing: PreprocessingSpec = PreprocessingSpec()
    remedy: Choice = Choice(name="none")
    training: TrainingSpec = TrainingSpec()
    seed: int = Field(default=0, ge=0)
    split: int | None = Field(default=None, ge=0)
    draw: int | None = Field(default=None, ge=0)
    order: int | None = Field(default=None, ge=0)
    init: int | None = Field(default=None, ge=0)
    batches: int | None = Field(default=None, ge=0)
    kind: Literal["run", "trial", "cost", "start", "diagnostic"] = "run"

    def seed_of(self, stream: str) -> int:
        """Return the seed of one of `SEED_STREAMS`: the seed of the run, unless this stream has its own seed."""
        moved = getattr(self, stream)
        return self.seed if moved is None else moved

    @property
    def is_moved(self) -> bool:
        """Whether any stream has a different seed than the run.

        Such a run is not one of the paired runs of its cell but is compared with them.
        """
        return any(self.seed_of(stream) != self.seed for stream in SEED_STREAMS)

    @cached_property
    def run_id(self) -> str:
        """The id of the run, sixteen hexadecimal digits."""
        return hashlib.blake2b(self.key().encode(), digest_size=8).hexdigest()

    def moved(self, *streams: str, by: int = MOVED_BY) -> "RunSpec":
        """Return a copy of the run with `by` added to the seeds of these `SEED_STREAMS`."""
        return self.with_(**{stream: self.seed_of(stream) + by for stream in streams})
