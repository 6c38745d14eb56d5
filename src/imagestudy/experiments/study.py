"""A study file, read and checked: dataset, models, profiles, remedies, budget and efforts."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from imagestudy.core import paths, plugins
from imagestudy.core.errors import InputError, require_known, sentence
from imagestudy.core.specs import Choice, ProfileSpec, Spec, TrainingSpec

EFFORTS = ("smoke", "default", "full")


class PreprocessingEffort(Spec):
    """Effort of `preprocessing`.

    Args:
        settings: how many settings of each preprocessing step are tried.
    """

    settings: int = Field(default=3, gt=0)


class FamiliesEffort(Spec):
    """Effort of the four `families`.

    Args:
        distances: between the two marks of the long-range probe, in rows.
        beside: the distances at which the other families are trained beside the RNN (None: all).
    """

    distances: tuple[int, ...] = ()
    beside: tuple[int, ...] | None = None

    @model_validator(mode="after")
    def _beside_is_measured(self) -> "FamiliesEffort":
        if apart := sorted(set(self.beside or ()) - set(self.distances)):
            raise ValueError(f"beside: {apart[0]} was given; allowed are the distances, {list(self.distances)}")
        return self


class AccuracyEffort(Spec):
    """Effort of `accuracy`.

    Args:
        trials: how many trainings of each network try each learning rate.
        trial_images: images seen in each of these trainings (None: the whole budget).
        longer: networks that are also trained with three times the budget.
        costs: models whose time and memory are measured (None: all models of the study).
    """

    trials: int = Field(default=0, ge=0)
    trial_images: int | None = Field(default=None, gt=0)
    longer: tuple[str, ...] = ()
    costs: tuple[str, ...] | None = None


class ImbalanceEffort(Spec):
    """Effort of `imbalance`.

    Args:
        whole: how many of the imbalanced profiles are crossed with every remedy; the others get only the `thinned` remedies.
        thinned: remedies of the other profiles; plain training (`none`) is always among them.
        trials: how many trials the remedy `tuned` gets.
        ratios: of the curves of score against ratio, under the kind of the first profile.
        curves: remedies of these curves; plain training is always among them.
        costs: models whose remedies are measured for their cost.
    """

    whole: int = Field(default=1, ge=0)
    thinned: tuple[str, ...] = ("none",)
    trials: int = Field(default=8, gt=0)
    ratios: tuple[Annotated[float, Field(ge=1)], ...] = ()
    curves: tuple[str, ...] = ()
    costs: tuple[str, ...] = ()


class ClaimsEffort(Spec):
    """Effort of `claims`.

    Args:
        sizes: images of the largest class in the smaller training sets, for the claim about scale.
    """

    sizes: tuple[Annotated[int, Field(gt=0)], ...] = ()


class VarianceEffort(Spec):
    """Effort of `variance`.

    Args:
        moved: models of which each of the four seeds is changed alone.
        diagnosed: models that are scored on the test images while they train, to measure what test-set peeking does.
    """

    moved: tuple[str, ...] = ()
    diagnosed: tuple[str, ...] = ()


class RecommendationEffort(Spec):
    """Effort of `recommendation`.

    Args:
        rungs: of successive halving before the whole budget; each has three times the budget of the one before it.
        finalists: candidates that every run trains with the whole budget.
    """

    rungs: int = Field(default=2, ge=0, le=4)
    finalists: int = Field(default=4, gt=0)


class Effort(Spec):
    """How much of a study is run: what all analyses share, and a block for each analysis.

    Args:
        runs: paired runs a cell.
        profiles: how many of the study's imbalanced profiles are run (None: all).
        images_seen: replaces the study's budget.
    """

    runs: int = Field(gt=0)
    profiles: int | None = Field(default=None, gt=0)
    images_seen: int | None = Field(default=None, gt=0)
    preprocessing: PreprocessingEffort = PreprocessingEffort()
    families: FamiliesEffort = FamiliesEffort()
    accuracy: AccuracyEffort = AccuracyEffort()
    imbalance: ImbalanceEffort = ImbalanceEffort()
    claims: ClaimsEffort = ClaimsEffort()
    variance: VarianceEffort = VarianceEffort()
    recommendation: RecommendationEffort = RecommendationEffort()


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
        questions: those that the study answers, in this order, such as `accuracy`; all if none is named.
        plugins: Python files with models, remedies, data sets and analyses of one's own; seen from the study file's folder.
        left_out: models that were considered and are not in the study, with the reason, which the report gives.
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
    questions: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
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
        lacking = [name for name, effort in self.efforts.items() if len(effort.families.distances) < 2]
        if self.probe is not None and lacking:
            raise ValueError(f"a study with a probe needs at least two distances in every effort; lacking in: {', '.join(lacking)}")
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


OLD_EFFORT_KEYS = {
    "settings": ("preprocessing", "settings"),
    "distances": ("families", "distances"),
    "beside": ("families", "beside"),
    "recipes": ("accuracy", "trials"),
    "recipe_images": ("accuracy", "trial_images"),
    "longer": ("accuracy", "longer"),
    "costs": ("accuracy", "costs"),
    "whole": ("imbalance", "whole"),
    "thinned": ("imbalance", "thinned"),
    "trials": ("imbalance", "trials"),
    "ratios": ("imbalance", "ratios"),
    "curves": ("imbalance", "curves"),
    "priced": ("imbalance", "costs"),
    "sizes": ("claims", "sizes"),
    "spread": ("variance", "moved"),
    "diagnosed": ("variance", "diagnosed"),
    "rungs": ("recommendation", "rungs"),
    "finalists": ("recommendation", "finalists"),
}
"""Keys of an effort in older study files → the block and key that replaced them."""


def modernize(content: dict[str, Any]) -> dict[str, Any]:
    """A study file's content with the keys of older files under their present names; a present name wins over an old one."""
    content = dict(content)
    if "notebooks" in content:
        named = content.pop("notebooks")
        content.setdefault("questions", [without_number(str(name)) for name in named] if isinstance(named, list) else named)
    efforts = content.get("efforts")
    if isinstance(efforts, dict):
        content["efforts"] = {name: _modern_effort(effort) for name, effort in efforts.items()}
    return content


def _modern_effort(effort: Any) -> Any:
    if not isinstance(effort, dict):
        return effort
    made = {key: dict(value) if isinstance(value, dict) else value for key, value in effort.items() if key not in OLD_EFFORT_KEYS}
    for old, (block, key) in OLD_EFFORT_KEYS.items():
        if old in effort and isinstance(made.setdefault(block, {}), dict):
            made[block].setdefault(key, effort[old])
    return made


def without_number(name: str) -> str:
    """A question by its notebook's name, with or without the number in front: `08_accuracy` → `accuracy`."""
    return re.sub(r"^\d\d_", "", name)


def old_keys(study: str) -> list[str]:
    """What a study file says under names of older versions, each as `old → new`; empty for a present one."""
    content = yaml.safe_load(study_file(study).read_text(encoding="utf-8"))
    found = ["notebooks → questions"] if "notebooks" in content else []
    efforts = [effort for effort in content.get("efforts", {}).values() if isinstance(effort, dict)]
    used = [old for old in OLD_EFFORT_KEYS if any(old in effort for effort in efforts)]
    return [*found, *(f"{old} → {'.'.join(OLD_EFFORT_KEYS[old])}" for old in used)]


def load_plugins(study: str) -> None:
    """Load the plug-ins of a study file; their paths are seen from the file's folder.

    Raises:
        InputError: as `load_study` and `plugins.load`.
    """
    folder = study_file(study).parent
    plugins.load(folder / Path(file).expanduser() for file in load_study(study).plugins)


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
        return Study.model_validate_json(json.dumps(modernize(content)))
    except ValidationError as error:
        raise InputError(sentence(error, what="the study", where=str(file))) from None
    except TypeError as error:
        raise InputError(f"{file} holds a value that a study file cannot: {error}") from None
