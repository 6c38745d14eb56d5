"""A study → the runs that each part of it needs, declared once for notebooks and command line alike.

Nothing here trains or loads. A cell is everything of a run but its seed; all cells share the seeds 0 … runs − 1, so that every
comparison is paired.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from imagestudy import data
from imagestudy.errors import InputError, place, require_known
from imagestudy.learners import followed_remedies
from imagestudy.models import at_budget, check_size, models
from imagestudy.models.keras import is_installed
from imagestudy.remedies import remedies, remedy
from imagestudy.specs import (
    SEED_STREAMS,
    TRIAL_SEED,
    Choice,
    Effort,
    ModelSpec,
    PreprocessingSpec,
    ProfileSpec,
    RunSpec,
    Study,
    TrainingSpec,
    load_study,
)

DECIDING = {"ann": "mlp", "cnn": "resnet", "rnn": "bilstm", "transformer": "vit"}
TRADITIONAL = {"ann": "perceptron", "cnn": "lenet", "rnn": "elman"}
LISTING = "article"
NOISE = Choice(name="gaussian", options={"sigma": 0.3})
TWINS = {models.entry(name).facts["twin"]: name for name in models.names(kind="keras")}
"""PyTorch model → the same model in Keras."""
TWIN_REMEDIES = ("balanced_sampler", "class_weights", "balanced_softmax", "logit_adjustment")
"""Remedies under which the deciding CNN is trained in both frameworks: what the learner sees, pays (two) and says."""
OVERFIT_IMAGES = 40
OVERFIT_PASSES = 200
PROBE_RUNS_BESIDE = 1
RESTARTED = ("init", "batches")
"""The streams that move together where somebody trains again on the same images, as with "another seed" is mostly meant."""
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
"""Learning rates that are tried for the recipe that all networks share."""

STEPS: dict[str, tuple[Choice, ...]] = {
    "filter": (
        Choice(name="gaussian", options={"sigma": 0.6}),
        Choice(name="median", options={"size": 3}),
        Choice(name="bilateral", options={}),
    ),
    "denoise": (
        Choice(name="wavelet", options={"sigma": 0.15}),
        Choice(name="non_local_means", options={"sigma": 0.3}),
        Choice(name="total_variation", options={"weight": 0.1}),
    ),
    "augment": (
        Choice(name="shift", options={"fraction": 0.125}),
        Choice(name="rotate", options={"degrees": 10.0}),
        Choice(name="scale", options={"fraction": 0.1}),
    ),
}

ABLATIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "mlp": ({"normalise": False}, {"dropout": 0.0}),
    "resnet": ({"shortcut": False}, {"normalise": False}),
    "bilstm": ({"bidirectional": False}, {"pool": "last"}),
    "vit": ({"positions": False}, {"depth": 1}),
}


@dataclass(frozen=True)
class Plan:
    """A checked study at one effort."""

    study: Study
    effort: Effort

    @property
    def name(self) -> str:
        """The study's name, and that of its results folder."""
        return self.study.name

    @property
    def is_redrawn(self) -> bool:
        """Whether every run has a split of its own, since the dataset has no test set."""
        return data.is_redrawn(self.study.dataset)

    @property
    def training(self) -> TrainingSpec:
        """The study's recipe within the effort's budget."""
        seen = self.effort.images_seen
        return self.study.training if seen is None else self.study.training.model_copy(update={"images_seen": seen})


def open_study(study: str, effort: str) -> Plan:
    """Read a study file and check every name in it.

    Raises:
        InputError: as `specs.load_study`; an effort, model, remedy or dataset not known; a profile that leaves a class empty.
    """
    loaded = load_study(study)
    where = f"study {study!r}"
    loaded = loaded.model_copy(update={"dataset": data.sources.settle(loaded.dataset, where=where)})
    for name in loaded.notebooks:
        require_known(name, NEEDED, what="notebook", where=where)
    for name in (*loaded.models, *loaded.crossed):
        models.entry(name, where=where)
    for name in loaded.learning_rates:
        networks = [other for other in models.names() if not _is_classical(other)]
        require_known(name, networks, what="network with a learning rate of its own", where=where)
    for name in (*loaded.remedies, *(r for e in loaded.efforts.values() for r in (*e.thinned, *e.curves))):
        remedies.entry(name, where=where)
    plan = Plan(loaded, loaded.effort(effort))
    for one in loaded.efforts.values():
        for name in (*one.spread, *one.priced, *one.diagnosed):
            models.entry(name, where=where)
        for name in one.diagnosed:
            require_known(name, models.names(kind="neural"), what="model that is trained in steps", where=where)
    for profile in (*loaded.profiles, *curve_profiles(plan), *scale_profiles(plan)):
        _require_images(loaded, profile, where=where)
    for name in members(plan):
        check_size(model_spec(plan, name), shape=data.image_shape(loaded.dataset), classes=data.class_count(loaded.dataset))
    return plan


def _require_images(study: Study, profile: ProfileSpec, *, where: str) -> None:
    """Raise `InputError`, with the place, if the profile leaves a class empty."""
    try:
        data.profile_size(study.dataset, profile)
    except InputError as error:
        raise InputError(f"{error}; given{place(where)}") from None


def training_of(plan: Plan, model: str) -> TrainingSpec:
    """The recipe within the effort's budget, with the network's own learning rate where the study or the model has one."""
    rate = plan.study.learning_rates.get(model, models.entry(model).facts.get("learning_rate"))
    return plan.training if rate is None else plan.training.model_copy(update={"learning_rate": rate})


def model_spec(plan: Plan, name: str, **options: Any) -> ModelSpec:
    """The model at the study's parameter budget; classical and traditional members keep their own size."""
    return at_budget(Choice(name=name, options=options), plan.study.params)


def _repeat(plan: Plan, spec: RunSpec) -> list[RunSpec]:
    redrawn = plan.is_redrawn and spec.dataset == plan.study.dataset
    return [spec.with_(seed=seed, split=seed if redrawn else None) for seed in range(plan.effort.runs)]


def cell(plan: Plan, model: str, **fields: Any) -> list[RunSpec]:
    """The runs of one cell: a model under whatever profile, remedy and preprocessing the fields say, with every seed."""
    options = fields.pop("options", {})
    training = training_of(plan, model)
    return _repeat(plan, RunSpec(dataset=plan.study.dataset, training=training, model=model_spec(plan, model, **options), **fields))


def accuracy(plan: Plan, *, models_: Sequence[str] | None = None) -> list[RunSpec]:
    """Every model on balanced training data, without remedy."""
    names = plan.study.models if models_ is None else models_
    return [spec for name in names for spec in cell(plan, name)]


def all_members(plan: Plan) -> list[RunSpec]:
    """Every model that a claim is decided by, on balanced training data."""
    return accuracy(plan, models_=members(plan))


def plain(plan: Plan) -> list[RunSpec]:
    """Plain training of the crossed models under each imbalanced profile."""
    return [
        spec for profile in imbalanced_profiles(plan) for name in plan.study.crossed for spec in cell(plan, name, profile=profile)
    ]


def without_groups(plan: Plan) -> Choice:
    """The dataset with its groups forgotten."""
    return plan.study.dataset.model_copy(update={"options": plan.study.dataset.options | {"grouped": False}})


def ungrouped(plan: Plan) -> list[RunSpec]:
    """Plain training under the first profile on splits that are drawn image by image; nothing where the images have no groups."""
    if not (plan.is_redrawn and data.has_groups(plan.study.dataset)):
        return []
    return [spec.with_(dataset=without_groups(plan)) for spec in plain(plan) if spec.profile == plan.study.profiles[0]]


def baselines(plan: Plan) -> list[RunSpec]:
    """What a choice must beat: the study's classical models that are no candidates themselves, plain, under the first profile."""
    names = [name for name in plan.study.models if _is_classical(name) and name not in plan.study.crossed]
    return [spec for name in names for profile in plan.study.profiles[:1] for spec in cell(plan, name, profile=profile)]


def members(plan: Plan) -> tuple[str, ...]:
    """The study's models, and those by which the claims are decided whatever the study lists."""
    return tuple(dict.fromkeys((*plan.study.models, *DECIDING.values(), *TRADITIONAL.values(), LISTING)))


def imbalanced_profiles(plan: Plan, *, ratios: Sequence[Any] = ()) -> list[ProfileSpec]:
    """The study's imbalanced profiles that the effort runs, the most important first; `ratios` replaces those of the file.

    Raises:
        InputError: a ratio below 1, or one that leaves a class empty.
    """
    if not ratios:
        return list(plan.study.profiles[: plan.effort.profiles])
    kinds = list(dict.fromkeys(profile.name for profile in plan.study.profiles if profile.name in ("exponential", "step")))
    profiles = [_profile(kind, ratio) for kind in kinds for ratio in ratios]
    for profile in profiles:
        _require_images(plan.study, profile, where="parameter 'ratios'")
    return profiles


def _profile(kind: str, ratio: Any) -> ProfileSpec:
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not ratio >= 1:
        raise InputError(f"ratio {ratio!r} was given in parameter 'ratios'; allowed: numbers of at least 1")
    return ProfileSpec(name=kind, ratio=float(ratio))  # type: ignore[arg-type]


def remedies_of(plan: Plan, model: str, *, whole: bool) -> list[str]:
    """The remedies that a model is crossed with; a classical model leaves out those that need a loss of their own."""
    wanted = plan.study.remedies if whole else [r for r in plan.study.remedies if r in ("none", *plan.effort.thinned)]
    return [name for name in wanted if name in followed_remedies(model)]


def _is_classical(model: str) -> bool:
    return models.entry(model).facts["kind"] == "classical"


def imbalance(plan: Plan, *, ratios: Sequence[Any] = ()) -> list[RunSpec]:
    """Models × remedies × imbalanced profiles: whole in the first profiles of the effort, thinned in the others."""
    cells = [
        cell(plan, model, profile=profile, remedy=remedy_of(plan, name))
        for rank, profile in enumerate(imbalanced_profiles(plan, ratios=ratios))
        for model in plan.study.crossed
        for name in remedies_of(plan, model, whole=rank < plan.effort.whole)
    ]
    return [spec for runs in cells for spec in runs]


def remedy_of(plan: Plan, name: str) -> Choice:
    """A remedy of the study; tuning gets the effort's number of trials."""
    return Choice(name=name, options={"trials": plan.effort.trials} if name == "tuned" and plan.effort.trials != 8 else {})


def loss_to_imbalance(plan: Plan) -> list[RunSpec]:
    """Traditional and modern members under each imbalanced profile, and under a balanced one of as many images."""
    return [spec for profile in imbalanced_profiles(plan) for spec in _lost_under(plan, profile)]


def _lost_under(plan: Plan, profile: ProfileSpec) -> list[RunSpec]:
    names = [name for family in TRADITIONAL for name in (TRADITIONAL[family], DECIDING[family])]
    pair = (profile, as_many_balanced(plan, profile))
    return [spec for one in pair for name in names for spec in cell(plan, name, profile=one)]


def as_many_balanced(plan: Plan, profile: ProfileSpec) -> ProfileSpec:
    """The balanced profile of as many images as an imbalanced one has."""
    return ProfileSpec(size=data.profile_size(plan.study.dataset, profile))


def preprocessing_settings(plan: Plan) -> dict[str, list[PreprocessingSpec]]:
    """Kind of step → its settings under trial; `off` is none at all."""
    tried = {kind: choices[: plan.effort.settings] for kind, choices in STEPS.items()}
    made = {
        kind: [PreprocessingSpec(augment=(c,)) if kind == "augment" else PreprocessingSpec(steps=(c,)) for c in choices]
        for kind, choices in tried.items()
    }
    return {"off": [PreprocessingSpec()], **made}


def preprocessing(plan: Plan) -> list[RunSpec]:
    """The deciding CNN with every setting of filter, denoising and augmentation, on clean and on noisy images."""
    settings = [setting for kind in preprocessing_settings(plan).values() for setting in kind]
    noisy = [setting.model_copy(update={"noise": NOISE}) for setting in settings]
    return [spec for s in (*settings, *noisy) for spec in cell(plan, DECIDING["cnn"], preprocessing=s)]


def probe_dataset(distance: int) -> Choice:
    """The long-range probe with its marks so many rows apart."""
    return data.sources.sources.stamp(Choice(name="probe", options={"distance": distance}))


def probe_cell(plan: Plan, model: str, distance: int) -> list[RunSpec]:
    """One model on the probe at one distance. The claim is about the RNN, which gets all runs; the others get fewer."""
    if plan.study.probe is None:
        raise InputError(f"study {plan.name!r} has no probe")
    seen = plan.effort.images_seen
    training = plan.study.probe if seen is None else plan.study.probe.model_copy(update={"images_seen": seen})
    spec = RunSpec(dataset=probe_dataset(distance), training=training, model=model_spec(plan, model))
    runs = _repeat(plan, spec)
    return runs if model == DECIDING["rnn"] else runs[:PROBE_RUNS_BESIDE]


def probe(plan: Plan) -> list[RunSpec]:
    """The deciding RNN on the long-range probe at each distance, the others at those beside; nothing if the study has no probe."""
    if plan.study.probe is None:
        return []
    distances, rnn = plan.effort.distances, DECIDING["rnn"]
    beside = distances if plan.effort.beside is None else plan.effort.beside
    cells = [(name, d) for d in distances for name in DECIDING.values() if name == rnn or d in beside]
    return [spec for name, d in cells for spec in probe_cell(plan, name, d)]


def overfit(plan: Plan, model: str) -> list[RunSpec]:
    """One run on a handful of images shown again and again: a model that cannot learn them by heart is broken."""
    budget = {"images_seen": OVERFIT_IMAGES * OVERFIT_PASSES, "batch": OVERFIT_IMAGES}
    training = training_of(plan, model).model_copy(update=budget)
    profile = ProfileSpec(size=OVERFIT_IMAGES)
    return [RunSpec(dataset=plan.study.dataset, training=training, model=model_spec(plan, model), profile=profile)]


def ablation(plan: Plan, model: str) -> list[RunSpec]:
    """The model as it is, and with one part at a time taken away."""
    return [spec for options in ({}, *ABLATIONS[model]) for spec in cell(plan, model, options=options)]


def recipes(plan: Plan) -> list[RunSpec]:
    """Trials of every network at every learning rate, balanced and under the first imbalanced profile, on seeds never reported."""
    networks = [name for name in members(plan) if models.entry(name).facts["kind"] == "neural"]
    profiles = [ProfileSpec(), *imbalanced_profiles(plan)[:1]]
    seen = plan.effort.recipe_images or plan.training.images_seen
    return [
        RunSpec(
            dataset=plan.study.dataset,
            training=plan.training.model_copy(update={"learning_rate": rate, "images_seen": seen}),
            model=model_spec(plan, name),
            profile=profile,
            seed=TRIAL_SEED + number,
            kind="trial",
        )
        for name in networks
        for profile in profiles
        for rate in RATES
        for number in range(plan.effort.recipes)
    ]


def curve_profiles(plan: Plan) -> list[ProfileSpec]:
    """The profiles of the curves of score against ratio: of the kind of the first profile, the smallest ratio first."""
    kinds = [profile.name for profile in plan.study.profiles[:1] if profile.name in ("exponential", "step")]
    return [_profile(kind, ratio) for kind in kinds for ratio in sorted(plan.effort.ratios)]


def curves(plan: Plan) -> list[RunSpec]:
    """The crossed models with the remedies of the curves, at every ratio."""
    return [
        spec
        for profile in curve_profiles(plan)
        for model in plan.study.crossed
        for name in curve_remedies(plan, model)
        for spec in cell(plan, model, profile=profile, remedy=remedy_of(plan, name))
    ]


def curve_remedies(plan: Plan, model: str) -> list[str]:
    """`none` and the remedies of the curves that the model can follow."""
    return [name for name in dict.fromkeys(("none", *plan.effort.curves)) if name in followed_remedies(model)]


def scale_profiles(plan: Plan) -> list[ProfileSpec]:
    """Exponential profiles of one ratio in training sets of several sizes, the smallest first; none where no sizes are named."""
    ratio = plan.study.scale_ratio
    smaller = [ProfileSpec(name="exponential", ratio=ratio, largest=size) for size in sorted(plan.effort.sizes)]
    return [*smaller, ProfileSpec(name="exponential", ratio=ratio)] if smaller else []


def at_scale(plan: Plan) -> list[RunSpec]:
    """Traditional and modern members at each of these sizes, imbalanced and balanced."""
    return [spec for profile in scale_profiles(plan) for spec in _lost_under(plan, profile)]


def spread(plan: Plan) -> list[RunSpec]:
    """Plain training under the first profile: as it is, with each of the four seeds moved alone, and restarted.

    A restart is a member of the seed ensemble too, and not trained twice.
    """
    cells = [cell(plan, name, profile=profile) for profile in plan.study.profiles[:1] for name in plan.effort.spread]
    moves = [*((stream,) for stream in SEED_STREAMS), RESTARTED]
    return [one for runs in cells for spec in runs for one in (spec, *(spec.moved(*streams) for streams in moves))]


def diagnostics(plan: Plan) -> list[RunSpec]:
    """Plain training, balanced and under the first profile, with looks at the test images; nothing may be chosen by these."""
    profiles = [ProfileSpec(), *plan.study.profiles[:1]]
    return [
        spec.with_(kind="diagnostic")
        for name in plan.effort.diagnosed
        for profile in profiles
        for spec in cell(plan, name, profile=profile)
    ]


def costs(plan: Plan) -> list[RunSpec]:
    """One measurement of time and memory a model; for the priced models one a remedy, too, under the first profile."""
    names = plan.study.models if plan.effort.costs is None else plan.effort.costs
    measured = [cell(plan, name)[0] for name in names] + [cell[0] for cell in _priced(plan)]
    return [spec.with_(kind="cost") for spec in measured]


def _priced(plan: Plan) -> list[list[RunSpec]]:
    return [
        cell(plan, model, profile=profile, remedy=remedy_of(plan, name))
        for profile in plan.study.profiles[:1]
        for model in plan.effort.priced
        for name in remedies_of(plan, model, whole=plan.effort.whole > 0)
        if trains_once(name)
    ]


def trains_once(name: str) -> bool:
    """Whether a remedy is one training of its own: neither computed from other runs nor chosen among them."""
    found = remedy(Choice(name=name))
    return found.posthoc is None and found.members == 1 and not found.trials


def twin_cell(plan: Plan, model: str, **fields: Any) -> list[RunSpec]:
    """The runs of one cell of a Keras model, with the recipe of its PyTorch twin; of any other model, `cell`."""
    training = training_of(plan, models.entry(model).facts.get("twin", model))
    return [spec.with_(training=training) for spec in cell(plan, model, **fields)]


def twins(plan: Plan, *, remedies_: Sequence[str] = TWIN_REMEDIES) -> list[RunSpec]:
    """Each twin plain, balanced and under the first imbalanced profile, and there the deciding CNN with remedies."""
    profiles = imbalanced_profiles(plan)[:1]
    none = Choice(name="none")
    cells = [(name, one, none) for one in (ProfileSpec(), *profiles) for pair in TWINS.items() for name in pair]
    deciding = (DECIDING["cnn"], TWINS[DECIDING["cnn"]])
    cells += [(name, one, remedy_of(plan, how)) for one in profiles for how in remedies_ for name in deciding]
    return [spec for name, profile, how in cells for spec in twin_cell(plan, name, profile=profile, remedy=how)]


def twin_costs(plan: Plan) -> list[RunSpec]:
    """Costs and starts of the twins, in turn: who comes first changes with the round, so that a drift meets both alike.

    A round has a seed of its own; that of the costs that are measured once is none of them.
    """
    priced = [pair for pair in TWINS.items() if plan.effort.costs is None or pair[0] in plan.effort.costs]
    return [
        spec
        for number in range(1, (plan.effort.runs + 1) // 2 + 1)
        for pair in priced
        for kind in ("cost", "start")
        for spec in (_measured(plan, name, kind, number) for name in (pair if number % 2 else pair[::-1]))
    ]


def _measured(plan: Plan, model: str, kind: str, number: int) -> RunSpec:
    """One measurement of a round; a start ends with the first batch."""
    spec = twin_cell(plan, model)[0].with_(kind=kind, seed=number)
    if kind != "start":
        return spec
    return spec.with_(training=spec.training.model_copy(update={"images_seen": spec.training.batch}))


def frameworks(plan: Plan) -> list[RunSpec]:
    """The twins and what they cost; nothing where there is no TensorFlow to train half of them."""
    return [*twins(plan), *twin_costs(plan)] if is_installed() else []


def inside(plan: Plan, family: str) -> list[RunSpec]:
    """What a family's notebook looks at: its deciding member, learning a handful by heart, and with its parts taken away."""
    name = DECIDING[family]
    return [*cell(plan, name), *overfit(plan, name), *ablation(plan, name)]


NEEDED: dict[str, tuple[Callable[[Plan], list[RunSpec]], ...]] = {
    "01_preprocessing": (preprocessing,),
    "02_ann": (partial(inside, family="ann"),),
    "03_cnn": (partial(inside, family="cnn"),),
    "04_rnn": (partial(inside, family="rnn"),),
    "05_transformer": (partial(inside, family="transformer"),),
    "06_frameworks": (frameworks,),
    "07_accuracy": (accuracy, recipes, costs),
    "08_class_imbalance": (imbalance, loss_to_imbalance, curves, costs),
    "12_verdicts": (all_members, loss_to_imbalance, at_scale, preprocessing, probe),
    "13_recommendation": (baselines, plain, ungrouped, costs),
    "14_deployment": (imbalance,),
    "15_spread": (imbalance, spread, diagnostics),
}
"""Notebook → the grids behind it. What 13_recommendation chooses among is trained step by step, see `halving`."""


def notebooks(plan: Plan) -> list[str]:
    """The notebooks of a study: those that it names, in its order, or all."""
    return list(plan.study.notebooks or NEEDED)


def everything(plan: Plan) -> list[RunSpec]:
    """All runs that the study's notebooks need at its effort, each once."""
    parts = [grid(plan) for name in notebooks(plan) for grid in NEEDED[name]]
    return list({spec.run_id: spec for part in parts for spec in part}.values())
