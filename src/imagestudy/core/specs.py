"""Frozen descriptions of everything that a run depends on, and of a study.

A run's name is a hash of its description with all defaults left out: a field added later moves no recorded run.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from imagestudy import paths
from imagestudy.errors import InputError, require_known, sentence

Scalar = bool | int | float | str
EFFORTS = ("smoke", "default", "full")
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


class Effort(Spec):
    """How much of a study is run.

    Args:
        runs: paired runs a cell.
        whole: how many of the study's imbalanced profiles are crossed with every remedy; in the others only `thinned` remedies run.
        thinned: remedies of the other profiles; `none` is always among them.
        profiles: how many of the study's imbalanced profiles are run at all (None: all).
        trials: how many trials tuning gets.
        recipes: how many trainings of each network try each learning rate.
        recipe_images: images seen in each of those (None: the whole budget).
        longer: networks that are trained with three times the budget, too, to see what that changes.
        settings: how many settings of each preprocessing step are tried.
        distances: of the probe, in rows.
        beside: those at which the other families stand beside the RNN (None: all).
        images_seen: replaces the study's budget.
        costs: models whose cost is measured (None: all of the study's).
        priced: models whose remedies are measured for their cost too.
        ratios: of the curves of score against ratio, under the kind of the first profile.
        curves: remedies of those curves; `none` is always among them.
        sizes: images of the largest class in the smaller training sets of the question of scale.
        spread: models whose runs move each of their four seeds alone.
        diagnosed: models that are scored on the test images while they train, to measure what that does.
        rungs: of successive halving, before the whole budget; each has three times the budget of the one before it.
        finalists: candidates that every run trains with the whole budget.
    """

    runs: int = Field(gt=0)
    whole: int = Field(default=1, ge=0)
    thinned: tuple[str, ...] = ("none",)
    profiles: int | None = Field(default=None, gt=0)
    trials: int = Field(default=8, gt=0)
    recipes: int = Field(default=0, ge=0)
    recipe_images: int | None = Field(default=None, gt=0)
    longer: tuple[str, ...] = ()
    settings: int = Field(default=3, gt=0)
    distances: tuple[int, ...] = ()
    beside: tuple[int, ...] | None = None
    images_seen: int | None = Field(default=None, gt=0)
    costs: tuple[str, ...] | None = None
    priced: tuple[str, ...] = ()
    ratios: tuple[Annotated[float, Field(ge=1)], ...] = ()
    curves: tuple[str, ...] = ()
    sizes: tuple[Annotated[int, Field(gt=0)], ...] = ()
    spread: tuple[str, ...] = ()
    diagnosed: tuple[str, ...] = ()
    rungs: int = Field(default=2, ge=0, le=4)
    finalists: int = Field(default=4, gt=0)


class Study(Spec):
    """A study file: dataset, models, profiles, remedies, seeds, budget.

    Args:
        name: of its results folder; the study file's own name unless given.
        models: those compared on balanced training data.
        params: parameter budget of the models that have a width.
        profiles: imbalanced profiles, the most important first.
        crossed: models crossed with remedies under the profiles.
        remedies: their remedies.
        margin: differences inside ± this (a share of 1) count as equivalent.
        training: the recipe.
        learning_rates: of networks that have a rate of their own, instead of the recipe's.
        efforts: one entry for each of smoke, default, full.
        probe: training budget of the long-range probe, in images seen; None leaves the probe out.
        scale_ratio: ratio of the exponential profile under which training sets of several sizes are compared.
        notebooks: those that are run on the study, and trained for; all if none is named.
        left_out: models that were thought of and are not in the study, with the reason, which the report gives.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    dataset: Choice
    models: tuple[str, ...] = Field(min_length=1)
    params: int = Field(default=40_000, gt=0)
    profiles: tuple[ProfileSpec, ...] = ()
    crossed: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ("none",)
    margin: float = Field(default=0.01, gt=0, lt=1)
    training: TrainingSpec = TrainingSpec()
    learning_rates: dict[str, Annotated[float, Field(gt=0)]] = {}
    efforts: dict[Literal["smoke", "default", "full"], Effort]
    probe: TrainingSpec | None = None
    scale_ratio: float = Field(default=10.0, ge=1)
    notebooks: tuple[str, ...] = ()
    left_out: dict[str, str] = {}

    @field_validator("efforts")
    @classmethod
    def _all_efforts(cls, efforts: dict[str, Effort]) -> dict[str, Effort]:
        missing = [name for name in EFFORTS if name not in efforts]
        if missing:
            raise ValueError(f"efforts must say what {', '.join(EFFORTS)} are; missing: {', '.join(missing)}")
        return efforts

    @model_validator(mode="after")
    def _probe_has_distances(self) -> "Study":
        lacking = [name for name, effort in self.efforts.items() if len(effort.distances) < 2]
        if self.probe is not None and lacking:
            raise ValueError(f"a study with a probe needs at least two distances in every effort; lacking in: {', '.join(lacking)}")
        return self

    @model_validator(mode="after")
    def _beside_is_measured(self) -> "Study":
        for name, effort in self.efforts.items():
            if apart := sorted(set(effort.beside or ()) - set(effort.distances)):
                raise ValueError(
                    f"effort {name}, beside: {apart[0]} was given; allowed are its distances, {list(effort.distances)}"
                )
        return self

    def effort(self, name: str) -> Effort:
        """The effort of a name; an unknown one raises `InputError`."""
        return self.efforts[require_known(name, EFFORTS, what="effort", where=f"study {self.name!r}")]  # type: ignore[index]


def study_file(study: str) -> Path:
    """The file of a study: a name in the studies folder, or a path as seen from the caller's working folder."""
    if study.endswith((".yaml", ".yml")) or "/" in study:
        file = Path(study).expanduser().resolve()
        if not file.is_file():
            raise InputError(f"no study file {study!r}; looked for {file}")
        return file
    known = sorted(f.stem for f in paths.studies_folder().glob("*.yaml"))
    return paths.studies_folder() / f"{require_known(study, known, what='study', where=str(paths.studies_folder()))}.yaml"


def load_study(study: str) -> Study:
    """Read and check a study file; names of models and remedies are checked where they are registered (`grids.open_study`).

    Raises:
        InputError: no such study, broken YAML, an unknown key, a value that is not allowed.
    """
    file = study_file(study)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{file} holds {type(content).__name__}; a study file is a mapping of keys to values")
    content.setdefault("name", file.stem)
    try:
        return Study.model_validate_json(json.dumps(content))
    except ValidationError as error:
        raise InputError(sentence(error, what="the study", where=str(file))) from None
    except TypeError as error:
        raise InputError(f"{file} holds a value that a study file cannot: {error}") from None
