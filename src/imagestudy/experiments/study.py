"""A study file, read and checked: dataset, models, profiles, remedies, budget and efforts."""

import json
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from imagestudy.core import paths
from imagestudy.core.errors import InputError, require_known, sentence
from imagestudy.core.specs import Choice, ProfileSpec, Spec, TrainingSpec

EFFORTS = ("smoke", "default", "full")


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
    learning_rates: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    efforts: dict[Literal["smoke", "default", "full"], Effort]
    probe: TrainingSpec | None = None
    scale_ratio: float = Field(default=10.0, ge=1)
    notebooks: tuple[str, ...] = ()
    left_out: dict[str, str] = Field(default_factory=dict)

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
