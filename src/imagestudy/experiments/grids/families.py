"""Runs for the notebooks about families, the preprocessing notebook, and the long-range probe."""

from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice, PreprocessingSpec, ProfileSpec, RunSpec
from imagestudy.data import datasets
from imagestudy.experiments.grids.cells import DECIDING, Plan, cell, model_spec, repeat, training_of
from imagestudy.models.families import FAMILIES

NOISE = Choice(name="gaussian", options={"sigma": 0.3})
OVERFIT_IMAGES = 40
OVERFIT_PASSES = 200
PROBE_RUNS_BESIDE = 1
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

ABLATIONS = {family.deciding: family.ablations for family in FAMILIES.values() if family.ablations}
"""Deciding model of a family → options that each remove one part of it."""


def overfit(plan: Plan, model: str) -> list[RunSpec]:
    """Return one run on a few images that are shown again and again. A model that cannot memorize them is broken."""
    budget = {"images_seen": OVERFIT_IMAGES * OVERFIT_PASSES, "batch": OVERFIT_IMAGES}
    training = training_of(plan, model).model_copy(update=budget)
    profile = ProfileSpec(size=OVERFIT_IMAGES)
    return [RunSpec(dataset=plan.study.dataset, training=training, model=model_spec(plan, model), profile=profile)]


def ablation(plan: Plan, model: str) -> list[RunSpec]:
    """Return the runs of a model as it is, and with one part at a time removed."""
    return [spec for options in ({}, *ABLATIONS[model]) for spec in cell(plan, model, options=options)]


def inside(plan: Plan, family: str) -> list[RunSpec]:
    """Return the runs for the notebook about a family: its deciding model, the overfitting check, and the ablations."""
    name = DECIDING[family]
    return [*cell(plan, name), *overfit(plan, name), *ablation(plan, name)]


def preprocessing_settings(plan: Plan) -> dict[str, list[PreprocessingSpec]]:
    """Return kind of preprocessing step → the settings to compare; `off` is no preprocessing."""
    tried = {kind: choices[: plan.effort.preprocessing.settings] for kind, choices in STEPS.items()}
    made = {
        kind: [PreprocessingSpec(augment=(c,)) if kind == "augment" else PreprocessingSpec(steps=(c,)) for c in choices]
        for kind, choices in tried.items()
    }
    return {"off": [PreprocessingSpec()], **made}


def preprocessing(plan: Plan) -> list[RunSpec]:
    """Return the runs of the deciding CNN with every setting of filter, denoising and augmentation, on clean and noisy images."""
    settings = [setting for kind in preprocessing_settings(plan).values() for setting in kind]
    noisy = [setting.model_copy(update={"noise": NOISE}) for setting in settings]
    return [spec for s in (*settings, *noisy) for spec in cell(plan, DECIDING["cnn"], preprocessing=s)]


def probe_dataset(distance: int) -> Choice:
    """Return the long-range probe with its two marks `distance` rows apart."""
    return datasets.sources.stamp(Choice(name="probe", options={"distance": distance}))


def probe_cell(plan: Plan, model: str, distance: int) -> list[RunSpec]:
    """Return the runs of one model on the probe at one distance.

    The claim is about the RNN, so the RNN gets all runs. The other models get fewer.
    """
    if plan.study.probe is None:
        raise InputError(f"study {plan.name!r} has no probe")
    seen = plan.effort.images_seen
    training = plan.study.probe if seen is None else plan.study.probe.model_copy(update={"images_seen": seen})
    spec = RunSpec(dataset=probe_dataset(distance), training=training, model=model_spec(plan, model))
    runs = repeat(plan, spec)
    return runs if model == DECIDING["rnn"] else runs[:PROBE_RUNS_BESIDE]


def probe(plan: Plan) -> list[RunSpec]:
    """Return the runs on the long-range probe; empty if the study has no probe.

    The deciding RNN is trained at each distance, the other deciding models at the distances under `beside`.
    """
    if plan.study.probe is None:
        return []
    distances, rnn = plan.effort.families.distances, DECIDING["rnn"]
    beside = distances if plan.effort.families.beside is None else plan.effort.families.beside
    cells = [(name, d) for d in distances for name in DECIDING.values() if name == rnn or d in beside]
    return [spec for name, d in cells for spec in probe_cell(plan, name, d)]
