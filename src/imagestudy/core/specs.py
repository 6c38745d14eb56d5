"""Frozen descriptions of everything that a run depends on, and of a study.

A run's name is a hash of its description with all defaults left out: a field added later moves no recorded run.
"""

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Scalar = bool | int | float | str
SEED_STREAMS = ("draw", "order", "init", "batches")
RECIPE_VERSION = 2
"""Of the training recipe in `learners`; raised when a mend changes what a run would give."""
TRIAL_SEED = 1_000
"""The first of the seeds that only choose, and are never reported."""
MOVED_BY = 100
"""What is added to a run's seed where one of its streams, or some, are moved alone."""


class Spec(BaseModel):
    """Base of all descriptions: frozen, strict, an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def canonical(self) -> dict[str, Any]:
        """The description as plain JSON values, defaults left out."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def key(self) -> str:
        """The canonical form as one line of text, for hashing and as the key of a cache."""
        return json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"))


class Choice(Spec):
    """A registered name with its options; in YAML a bare name will do.

    `version` is the version of what the name stood for when the run was declared (see `registry.Registry.stamp`).
    """

    name: str
    options: dict[str, Scalar] = Field(default_factory=dict)
    version: int = 1

    @model_validator(mode="before")
    @classmethod
    def _from_bare_name(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given

    @property
    def label(self) -> str:
        """The name, with its options behind it where some are set: `median(size=3)`."""
        inside = ", ".join(f"{k}={v}" for k, v in self.options.items())
        return f"{self.name}({inside})" if inside else self.name


class ModelSpec(Choice):
    """A model; `params` is the number of parameters that its width is set to meet within 10 % (None: its own size)."""

    params: int | None = Field(default=None, gt=0)


class ProfileSpec(Spec):
    """How the training set is made imbalanced.

    Args:
        name: balanced, exponential (Cui et al. 2019), step (Buda et al. 2018), or natural.
        ratio: largest over smallest class count, at least 1.
        size: number of training images of a balanced profile; None takes as many as every class has.
        largest: images of the largest class of an exponential or step profile; None takes as many as every class has.
    """

    name: Literal["balanced", "exponential", "step", "natural"] = "balanced"
    ratio: float = Field(default=1.0, ge=1)
    size: int | None = Field(default=None, gt=0)
    largest: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _fits_together(self) -> "ProfileSpec":
        if self.name in ("balanced", "natural") and self.ratio != 1:
            raise ValueError(f"a {self.name} profile takes no ratio")
        if self.name != "balanced" and self.size is not None:
            raise ValueError("only a balanced profile takes a size")
        if self.name in ("balanced", "natural") and self.largest is not None:
            raise ValueError(f"a {self.name} profile takes no largest class")
        return self

    @property
    def label(self) -> str:
        """`exponential 50`, `balanced`, `balanced, 257 images`."""
        if self.name in ("exponential", "step"):
            return f"{self.name} {self.ratio:g}" + (f", largest {self.largest}" if self.largest else "")
        return self.name if self.size is None else f"{self.name}, {self.size} images"


class PreprocessingSpec(Spec):
    """What is done to the images: noise added, then steps, both once; augmentation anew in every training batch."""

    noise: Choice | None = None
    steps: tuple[Choice, ...] = ()
    augment: tuple[Choice, ...] = ()


class TrainingSpec(Spec):
    """The training recipe; a learning rate or weight decay of None is the recipe's own.

    Args:
        images_seen: the budget, in images shown to the learner, repeats counted.
        batch: images a step.
        learning_rate, weight_decay: of AdamW (Loshchilov & Hutter 2019).
        threads: of one operation.
        version: of the recipe, see `RECIPE_VERSION`.
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
    """One model trained once. Run i fixes every source of randomness, for every cell alike.

    `kind` says what it is for: a `run` is scored once on the test images; a `trial` (of tuning) never sees them; `cost` measures
    time and memory and keeps no score; `start` measures what it takes to get to the first step; a `diagnostic` is scored on the
    test images again and again while it trains, to show what that does, and keeps nothing by which anything could be chosen.

    `split` is the number of a redrawn split, where the dataset has no test set of its own and each run is given another; None is
    the dataset's one fixed split.
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
        """The seed of one of `SEED_STREAMS`: the run's own unless that stream was moved alone."""
        moved = getattr(self, stream)
        return self.seed if moved is None else moved

    @property
    def is_moved(self) -> bool:
        """Whether some of its streams have another seed than the run's own: no paired run of a cell, but one to set beside it."""
        return any(self.seed_of(stream) != self.seed for stream in SEED_STREAMS)

    @property
    def run_id(self) -> str:
        """Sixteen hexadecimal digits that name the run."""
        return hashlib.blake2b(self.key().encode(), digest_size=8).hexdigest()

    def with_(self, **changes: Any) -> "RunSpec":
        """The same run but for the named fields."""
        return self.model_copy(update=changes)

    def moved(self, *streams: str, by: int = MOVED_BY) -> "RunSpec":
        """The same run with these of its `SEED_STREAMS` moved alone."""
        return self.with_(**{stream: self.seed_of(stream) + by for stream in streams})
