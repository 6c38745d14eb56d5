"""What the notebooks of the families look at, the preprocessing, and the long-range probe."""

from typing import Any

from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice, PreprocessingSpec, ProfileSpec, RunSpec
from imagestudy.data import datasets
from imagestudy.experiments.grids.cells import DECIDING, Plan, cell, model_spec, repeat, training_of

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

ABLATIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "mlp": ({"normalise": False}, {"dropout": 0.0}),
    "resnet": ({"shortcut": False}, {"normalise": False}),
    "bilstm": ({"bidirectional": False}, {"pool": "last"}),
    "vit": ({"positions": False}, {"depth": 1}),
}


def overfit(plan: Plan, model: str) -> list[RunSpec]:
    """One run on a handful of images shown again and again: a model that cannot learn them by heart is broken."""
    budget = {"images_seen": OVERFIT_IMAGES * OVERFIT_PASSES, "batch": OVERFIT_IMAGES}
    training = training_of(plan, model).model_copy(update=budget)
    profile = ProfileSpec(size=OVERFIT_IMAGES)
    return [RunSpec(dataset=plan.study.dataset, training=training, model=model_spec(plan, model), profile=profile)]


def ablation(plan: Plan, model: str) -> list[RunSpec]:
    """The model as it is, and with one part at a time taken away."""
    return [spec for options in ({}, *ABLATIONS[model]) for spec in cell(plan, model, options=options)]


def inside(plan: Plan, family: str) -> list[RunSpec]:
    """What a family's notebook looks at: its deciding member, learning a handful by heart, and with its parts taken away."""
    name = DECIDING[family]
    return [*cell(plan, name), *overfit(plan, name), *ablation(plan, name)]


def preprocessing_settings(plan: Plan) -> dict[str, list[PreprocessingSpec]]:
    """Kind of step → its settings under trial; `off` is none at all."""
    tried = {kind: choices[: plan.effort.preprocessing.settings] for kind, choices in STEPS.items()}
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
    return datasets.sources.stamp(Choice(name="probe", options={"distance": distance}))


def probe_cell(plan: Plan, model: str, distance: int) -> list[RunSpec]:
    """One model on the probe at one distance. The claim is about the RNN, which gets all runs; the others get fewer."""
    if plan.study.probe is None:
        raise InputError(f"study {plan.name!r} has no probe")
    seen = plan.effort.images_seen
    training = plan.study.probe if seen is None else plan.study.probe.model_copy(update={"images_seen": seen})
    spec = RunSpec(dataset=probe_dataset(distance), training=training, model=model_spec(plan, model))
    runs = repeat(plan, spec)
    return runs if model == DECIDING["rnn"] else runs[:PROBE_RUNS_BESIDE]


def probe(plan: Plan) -> list[RunSpec]:
    """The deciding RNN on the long-range probe at each distance, the others at those beside; nothing if the study has no probe."""
    if plan.study.probe is None:
        return []
    distances, rnn = plan.effort.families.distances, DECIDING["rnn"]
    beside = distances if plan.effort.families.beside is None else plan.effort.families.beside
    cells = [(name, d) for d in distances for name in DECIDING.values() if name == rnn or d in beside]
    return [spec for name, d in cells for spec in probe_cell(plan, name, d)]
