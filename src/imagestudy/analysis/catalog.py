"""The questions that a study can answer: for each its notebook, the runs it needs, and what later stages ask for.

Training, forecasts, publishing and tests ask here. A question is named like its notebook, without the number in front. An analysis
of somebody's own registers itself with `questions.register`.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from imagestudy.analysis import accuracy, claims, families, frameworks, imbalance, preprocessing, recommendation, variance
from imagestudy.core import paths
from imagestudy.core.errors import require_known
from imagestudy.core.registry import Registry
from imagestudy.core.specs import RunSpec
from imagestudy.experiments import runner, search, stages
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.planning import forecast
from imagestudy.experiments.planning.forecast import Forecast
from imagestudy.experiments.stages import Bound, Stages
from imagestudy.experiments.store import RunStore
from imagestudy.experiments.study import without_number

questions: Registry = Registry("question", required={"notebook": None})
"""Question → the function plan → specs of its runs. Facts: `notebook`, a stem in the notebooks folder or a path; `stages`."""

questions.register("preprocessing", notebook="01_preprocessing")(preprocessing.needs)
questions.register("ann", notebook="02_ann")(partial(families.needs, family="ann"))
questions.register("cnn", notebook="03_cnn")(partial(families.needs, family="cnn"))
questions.register("rnn", notebook="04_rnn")(partial(families.needs, family="rnn"))
questions.register("transformer", notebook="05_transformer")(partial(families.needs, family="transformer"))
questions.register("frameworks", notebook="07_frameworks")(frameworks.needs)
questions.register("accuracy", notebook="08_accuracy")(accuracy.needs)
questions.register("class_imbalance", notebook="09_class_imbalance")(imbalance.needs)
questions.register("deployment", notebook="10_deployment")(imbalance.deployment_needs)
questions.register("variance", notebook="11_variance")(variance.needs)
questions.register("verdicts", notebook="16_verdicts")(claims.needs)
questions.register("recommendation", notebook="17_recommendation", stages=search.STAGES)(recommendation.needs)

OLD_NAMES = {"spread": "variance"}
"""Questions of older study files → their present names."""


def resolve(name: str, *, where: str = "") -> str:
    """A question by its name or its notebook's, of this version or an older one; an unknown one raises `InputError`."""
    bare = without_number(name)
    return require_known(OLD_NAMES.get(bare, bare), questions.names(), what="question", where=where)


def asked(plan: Plan) -> list[str]:
    """The questions of a study: those that it names, in its order and each once, or all that are registered.

    Raises:
        InputError: it names one that is not known.
    """
    named = (resolve(name, where=f"study {plan.name!r}") for name in plan.study.questions or questions.names())
    return list(dict.fromkeys(named))


def notebook_of(question: str) -> Path:
    """The notebook of a question."""
    given = questions.entry(question).facts["notebook"]
    return given if isinstance(given, Path) else paths.notebooks_folder() / f"{given}.ipynb"


def needs(plan: Plan, names: Sequence[str] | None = None) -> list[RunSpec]:
    """The runs that these questions, or all of the study, need whatever the scores are; each once."""
    specs = (spec for name in (asked(plan) if names is None else names) for spec in questions.entry(name).function(plan))
    stamped = map(runner.stamp, specs)
    return list({spec.run_id: spec for spec in stamped}.values())


def stages_of(plan: Plan, names: Sequence[str] | None = None) -> list[Stages]:
    """What these questions, or all of the study, need by what is recorded."""
    found = (questions.entry(name).facts.get("stages") for name in (asked(plan) if names is None else names))
    return [one for one in found if one is not None]


def train(plan: Plan, names: Sequence[str] | None = None, *, workers: int | None = None) -> list[RunSpec]:
    """Train what the store lacks of all that these questions, or all of the study, need; return every run that they need."""
    wanted = needs(plan, names)
    runner.obtain(wanted, study=plan.name, workers=workers)
    return [*wanted, *(spec for one in stages_of(plan, names) for spec in stages.meet(one, plan, workers=workers))]


def look_ahead(plan: Plan, *, workers: int | None = None) -> Forecast:
    """How many trainings the study still needs, and about how long they take."""
    store = RunStore(paths.store_file(plan.name))
    later = stages_of(plan)
    certain = [*needs(plan), *(spec for one in later for spec in one.ask(plan, store))]
    bounds: Iterable[Bound] = (bound for one in later for bound in one.bound(plan, store))
    return forecast.look_ahead(plan, certain, list(bounds), workers=workers)


def possible(plan: Plan) -> list[RunSpec]:
    """Every run that the study may ever ask for."""
    return [*needs(plan), *(spec for one in stages_of(plan) for spec in one.possible(plan))]
