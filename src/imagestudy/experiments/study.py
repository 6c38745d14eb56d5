"""Read and check study files: dataset, models, profiles, remedies, budget and efforts."""

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
PLANNED_NAME = "study.yaml"
"""The name of the study file that is planned for own images. It is in the results folder of the study."""


class PreprocessingEffort(Spec):
    """Effort of `preprocessing`.

    Args:
        settings: the number of settings of each preprocessing step that are compared.
    """

    settings: int = Field(default=3, gt=0)


class FamiliesEffort(Spec):
    """Effort of the four `families`.

    Args:
        distances: the distances between the two marks of the long-range probe, in rows.
        beside: the distances at which the other families are trained too, not only the RNN (None: all).
    """

    distances: tuple[int, ...] = ()
    beside: tuple[int, ...] | None = None

    @model_validator(mode="after")
    def _beside_is_measured(self) -> "FamiliesEffort":
        if apart := sorted(set(self.beside or ()) - set(self.distances)):
            raise ValueError(f"beside: {apart[0]} was given; allowed: the values of 'distances', {list(self.distances)}")
        return self


class AccuracyEffort(Spec):
    """Effort of `accuracy`.

    Args:
        trials: the number of training runs per network and learning rate.
        trial_images: images seen in each of these training runs (None: the whole budget).
        longer: networks that are also trained with three times the budget.
        costs: models that are measured for time and memory (None: all models of the study).
    """

    trials: int = Field(default=0, ge=0)
    trial_images: int | None = Field(default=None, gt=0)
    longer: tuple[str, ...] = ()
    costs: tuple[str, ...] | None = None


class ImbalanceEffort(Spec):
    """Effort of `imbalance`.

    Args:
        whole: the number of imbalanced profiles that are combined with every remedy. The others get only the `thinned` remedies.
        thinned: the remedies of the other profiles. Plain training (`none`) is always included.
        trials: the number of trials of the remedy `tuned`.
        ratios: the ratios of the curves of score against ratio. The kind of profile is that of the first profile.
        curves: the remedies of these curves. Plain training is always included.
        costs: models that are measured with every remedy for time and memory.
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
        sizes: the sizes of the largest class in the smaller training sets, for the claim about scale.
    """

    sizes: tuple[Annotated[int, Field(gt=0)], ...] = ()


class VarianceEffort(Spec):
    """Effort of `variance`.

    Args:
        moved: models that are also trained with each of the four seeds changed alone.
        diagnosed: models that are scored on the test images during training, to measure the effect of test-set peeking.
    """

    moved: tuple[str, ...] = ()
    diagnosed: tuple[str, ...] = ()


class RecommendationEffort(Spec):
    """Effort of `recommendation`.

    Args:
        rungs: the number of rungs of successive halving before the whole budget. Each triples the budget of the previous one.
        finalists: the number of candidates that every run trains with the whole budget.
    """

    rungs: int = Field(default=2, ge=0, le=4)
    finalists: int = Field(default=4, gt=0)


class Effort(Spec):
    """How much of a study is run: settings that all analyses share, and a block for each analysis.

    Args:
        runs: the number of paired runs per cell.
        profiles: the number of the study's imbalanced profiles that are run (None: all).
        images_seen: the training budget, instead of the study's.
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
    """The content of a study file.

    Args:
        name: the name of the study and of its results folder. Default: the name of the study file.
        dataset: the dataset and its options.
        models: the models that are compared on balanced training data.
        params: the parameter budget of models with an adjustable width.
        profiles: the imbalanced profiles, the most important first.
        crossed: the models that are combined with remedies under the profiles.
        remedies: the remedies of these models.
        margin: differences within ± this margin (as a fraction of 1) count as equivalent.
        training: the training recipe.
        learning_rates: network → its own learning rate, used instead of the recipe's.
        efforts: one entry for each of smoke, default, full.
        probe: the training recipe and budget of the long-range probe. None leaves the probe out.
        scale_ratio: the ratio of the exponential profile that compares training sets of several sizes.
        questions: the questions that the study answers, in this order, such as `accuracy`. If empty, all questions.
        plugins: Python files with the user's models, remedies, data sets and analyses, relative to the study file's folder.
        left_out: model → why it is not in the study. The report shows the reasons.
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
            raise ValueError(f"efforts must define {', '.join(EFFORTS)}; missing: {', '.join(missing)}")
        return efforts

    @model_validator(mode="after")
    def _probe_has_distances(self) -> "Study":
        lacking = [name for name, effort in self.efforts.items() if len(effort.families.distances) < 2]
        if self.probe is not None and lacking:
            raise ValueError(f"a study with a probe needs at least two distances in every effort; missing in: {', '.join(lacking)}")
        return self

    def effort(self, name: str) -> Effort:
        """Return the effort with this name; an unknown name raises `InputError`."""
        return self.efforts[require_known(name, EFFORTS, what="effort", where=f"study {self.name!r}")]  # type: ignore[index]


def study_file(study: str) -> Path:
    """Return the path of a study file.

    Args:
        study: a name in the studies folder, the name of a study that was planned for own images (its file is in its results
            folder), or a path relative to the working folder.

    Raises:
        InputError: there is no such study. The text lists the known names.
    """
    if study.endswith((".yaml", ".yml")) or "/" in study:
        file = Path(study).expanduser().resolve()
        if not file.is_file():
            raise InputError(f"no study file {study!r}; looked for {file}")
        return file
    known = {file.stem: file for file in sorted(paths.studies_folder().glob("*.yaml"))}
    planned = {file.parent.name: file for file in sorted(paths.results_folder().glob(f"*/{PLANNED_NAME}"))}
    named = planned | known
    return named[require_known(study, list(named), what="study", where=str(paths.studies_folder()))]


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
"""Key of an effort in older study files → the block and the key that replaced it."""


def modernize(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a study file with old keys renamed to present ones. If both are given, the present key wins."""
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
    """Return a notebook's name without the number in front, if it has one: `08_accuracy` → `accuracy`."""
    return re.sub(r"^\d\d_", "", name)


def old_keys(study: str) -> list[str]:
    """Return the old keys that a study file uses, each as `old → new`."""
    content = yaml.safe_load(study_file(study).read_text(encoding="utf-8"))
    found = ["notebooks → questions"] if "notebooks" in content else []
    efforts = [effort for effort in content.get("efforts", {}).values() if isinstance(effort, dict)]
    used = [old for old in OLD_EFFORT_KEYS if any(old in effort for effort in efforts)]
    return [*found, *(f"{old} → {'.'.join(OLD_EFFORT_KEYS[old])}" for old in used)]


def load_plugins(study: str) -> None:
    """Load the plug-ins of a study file. Their paths are relative to the folder of the file.

    Raises:
        InputError: see `load_study` and `plugins.load`.
    """
    folder = study_file(study).parent
    plugins.load(folder / Path(file).expanduser() for file in load_study(study).plugins)


def load_study(study: str) -> Study:
    """Read and check a study file. The names of models and remedies are checked later, by `grids.open_study`.

    Raises:
        InputError: the study does not exist, the YAML is invalid, a key is unknown, or a value is not allowed.
    """
    file = study_file(study)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{file} contains {type(content).__name__}; a study file is a mapping of keys to values")
    content.setdefault("name", file.stem)
    try:
        return Study.model_validate_json(json.dumps(modernize(content)))
    except ValidationError as error:
        raise InputError(sentence(error, what="the study", where=str(file))) from None
    except TypeError as error:
        raise InputError(f"{file} contains a value that is not allowed in a study file: {error}") from None
