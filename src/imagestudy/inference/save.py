"""A run trained again, to keep its model: the store keeps what runs said, and not their weights."""

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from imagestudy import data
from imagestudy.core.errors import InputError
from imagestudy.core.specs import RunSpec
from imagestudy.data import datasets
from imagestudy.experiments.codec import round_log_probabilities
from imagestudy.experiments.versions import stamp
from imagestudy.inference.files import put_folder
from imagestudy.inference.format import DESCRIPTION_NAME, FORMAT, WEIGHTS_NAME, Description, digest_of, plain, to_json
from imagestudy.inference.load import EXAMPLES, LABELS, trained_run
from imagestudy.inference.networks import keep_head, keep_normalisation, keep_weights, with_width
from imagestudy.metrics import classification
from imagestudy.models import models
from imagestudy.remedies import remedy
from imagestudy.training import ClassicalLearner, KerasLearner, TorchLearner, make_learner

COLOURS = {1: "grey", 3: "rgb"}
VERSIONED = ("imagestudy", "torch", "numpy", "scikit-learn", "safetensors")


def save(spec: RunSpec, folder: Path, *, scores: dict[str, Any], provenance: dict[str, Any]) -> Path:
    """Train a run again and put its model in a folder, whole or not at all; an earlier model there is replaced.

    On the machine that recorded the run the model is the recorded one, bit for bit. On another it may differ in the last bits:
    `validation` in the JSON is of these very weights.

    Args:
        spec: of a run; of one with a post-hoc remedy, plain training is trained and the correction kept.
        folder: of the model.
        scores: kept in the JSON: what is known of how good it is.
        provenance: kept beside the versions of what trained it and the date: study, content of the images, …

    Returns:
        The folder.

    Raises:
        InputError: a run whose model cannot be kept, see `check`.
    """
    spec = stamp(spec.with_(dataset=datasets.settle(spec.dataset)))
    check(spec)
    base = trained_run(spec)
    prepared = data.prepare(base)
    learner = make_learner(
        base,
        classes=len(prepared.classes),
        flips=prepared.flips,
        watch=(prepared.validation.images, prepared.validation.labels),
        points=0,
    ).fit(prepared.train.images, prepared.train.labels)
    weights = safetensors.torch.save(_keep(learner, prepared), metadata={"format": "pt"})
    written = _describe(spec, learner, prepared) | {
        "digest": digest_of(weights),
        "scores": plain(scores),
        "provenance": plain({"date": datetime.now(UTC).date().isoformat(), "versions": _versions()} | provenance),
    }
    put_folder(folder, {WEIGHTS_NAME: weights, DESCRIPTION_NAME: to_json(Description.model_validate(written))})
    return folder


def check(spec: RunSpec) -> None:
    """Raise `InputError` unless the run's model can be kept: one PyTorch or classical model of square images as they are.

    Of a tuned run give the one with the settings that were chosen, since those are known by its trials only.
    """
    name, found = spec.model.name, remedy(spec.remedy)
    channels, height, width = data.image_shape(spec.dataset)
    refused = {
        f"model {name!r} is one in Keras; its twin in PyTorch can be": models.entry(name).facts["kind"] == "keras",
        f"remedy {spec.remedy.name!r} is several trainings that speak together": found.members > 1,
        f"remedy {spec.remedy.name!r} chooses its settings among trials": bool(found.trials),
        f"kind {spec.kind!r} is no run with a score": spec.kind != "run",
        "the run changes its images by noise or steps": spec.preprocessing.noise is not None or bool(spec.preprocessing.steps),
        f"images of {height}×{width} with {channels} channels are no grey or RGB squares": height != width
        or channels not in COLOURS,
        "there is no CUDA device here to train on": spec.training.device == "cuda" and not torch.cuda.is_available(),
    }
    for reason, holds in refused.items():
        if holds:
            raise InputError(f"this model cannot be saved: {reason}")


def _keep(learner: TorchLearner | KerasLearner | ClassicalLearner, prepared: data.Prepared) -> dict[str, Tensor]:
    if isinstance(learner, TorchLearner):
        return keep_weights(learner.network)
    return {EXAMPLES: torch.tensor(prepared.train.images), LABELS: torch.tensor(prepared.train.labels)}


def _describe(spec: RunSpec, learner: TorchLearner | KerasLearner | ClassicalLearner, prepared: data.Prepared) -> dict[str, Any]:
    """Everything in the description but digest, scores and provenance."""
    network = learner.network if isinstance(learner, TorchLearner) else None
    channels, side, _ = shape = data.image_shape(spec.dataset)
    classes = prepared.classes
    return {
        "format": FORMAT,
        "classes": classes,
        "counts": tuple(prepared.counts.tolist()),
        "images": {"side": side, "channels": channels, "fit": _fit(spec), "colours": COLOURS[channels]},
        "normalisation": keep_normalisation(learner) if isinstance(learner, TorchLearner) else None,
        "model": with_width(spec.model, shape=shape, classes=len(classes)),
        "remedy": spec.remedy.label,
        "head": None if network is None else keep_head(network.head),
        "layers": () if network is None else tuple(repr(network).splitlines()),
        "decision_temperature": learner.temperature if isinstance(learner, ClassicalLearner) else None,
        "run": spec,
    } | _choose(spec, learner, prepared)


def _choose(spec: RunSpec, learner: TorchLearner | KerasLearner | ClassicalLearner, prepared: data.Prepared) -> dict[str, Any]:
    """What is chosen on validation, from predictions as the store rounds them, so that it is what the run's record says.

    But for one thing: where every validation image is right, the temperature that fits best goes to 0, and a model would be called
    surer than anything there can show. It then stays at 1 or above.
    """
    labels, counts = prepared.validation.labels, prepared.counts
    said, found = round_log_probabilities(learner.predict_log_proba(prepared.validation.images)), remedy(spec.remedy).posthoc
    tau = None if found is None else found.choose(said, labels, counts)
    if found is not None and tau is not None:
        said = found.apply(said, counts, tau)
    temperature = round(classification.fit_temperature(classification.normalize(said), labels), 4)
    flawless = bool(np.all(said.argmax(axis=1) == labels))
    return {
        "tau": tau,
        "temperature": max(1.0, temperature) if flawless else temperature,
        "validation": round(classification.balanced_accuracy(said.argmax(axis=1), labels, classes=len(counts)), 6),
    }


def _fit(spec: RunSpec) -> str:
    """How images were brought to a square; those of public sets that are no squares are stretched."""
    return str(datasets.sources.options(spec.dataset).get("fit", "stretch"))


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in VERSIONED}
