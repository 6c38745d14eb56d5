"""Save the model of a run. The store keeps predictions and no weights, so the run is trained again."""

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
from imagestudy.inference.networks import keep_normalization, keep_weights, with_width
from imagestudy.metrics import classification
from imagestudy.models import models
from imagestudy.remedies import remedies, remedy
from imagestudy.training import ClassicalLearner, KerasLearner, TorchLearner, make_learner

COLORS = {1: "grey", 3: "rgb"}
"""Number of channels → name of the color format in `model.json`."""
VERSIONED = ("imagestudy", "torch", "numpy", "scikit-learn", "safetensors")
"""Packages with versions that are saved in the provenance."""


def save(spec: RunSpec, folder: Path, *, scores: dict[str, Any], provenance: dict[str, Any]) -> Path:
    """Train a run again and save its model in a folder, completely or not at all; an earlier model there is replaced.

    On the machine that recorded the run, the model is identical to the recorded one, bit for bit. On another machine it may differ
    in the last bits. The entry `validation` in the JSON is the score of the saved weights.

    Args:
        spec: spec of the run. For a post-hoc remedy, plain training is run and the correction is saved with it.
        folder: folder of the model.
        scores: scores of the model, saved in the JSON.
        provenance: origin of the model, such as the study and the content of the images. It is saved in the JSON together with the
            date and the versions of Python and the packages.

    Returns:
        The folder.

    Raises:
        InputError: if the model of the run cannot be saved; see `check`.
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
    """Raise `InputError` unless the model of the run can be saved.

    It must be a single PyTorch or classical model, trained on square gray or RGB images without noise or preprocessing steps.
    Instead of a tuned run, pass the run with the chosen settings, because only its trials record which settings were chosen.
    """
    name, found = spec.model.name, remedy(spec.remedy)
    channels, height, width = data.image_shape(spec.dataset)
    refused = {
        f"model {name!r} is a Keras model; its PyTorch twin can be saved": models.entry(name).facts["kind"] == "keras",
        f"remedy {spec.remedy.name!r} combines several trained models": found.members > 1,
        f"remedy {spec.remedy.name!r} chooses its settings by trials; save the run with the chosen settings": bool(found.trials),
        f"a run of kind {spec.kind!r} has no score": spec.kind != "run",
        "the run adds noise or preprocessing steps to its images": spec.preprocessing.noise is not None
        or bool(spec.preprocessing.steps),
        f"images must be square and gray or RGB; these are {height}×{width} with {channels} channels": height != width
        or channels not in COLORS,
        "training needs a CUDA device, and this machine has none": spec.training.device == "cuda" and not torch.cuda.is_available(),
    }
    for reason, holds in refused.items():
        if holds:
            raise InputError(f"this model cannot be saved: {reason}")


def _keep(learner: TorchLearner | KerasLearner | ClassicalLearner, prepared: data.Prepared) -> dict[str, Tensor]:
    if isinstance(learner, TorchLearner):
        return keep_weights(learner.network)
    return {EXAMPLES: torch.tensor(prepared.train.images), LABELS: torch.tensor(prepared.train.labels)}


def _describe(spec: RunSpec, learner: TorchLearner | KerasLearner | ClassicalLearner, prepared: data.Prepared) -> dict[str, Any]:
    """Return all entries of the description except digest, scores and provenance."""
    network = learner.network if isinstance(learner, TorchLearner) else None
    channels, side, _ = shape = data.image_shape(spec.dataset)
    classes = prepared.classes
    return {
        "format": FORMAT,
        "classes": classes,
        "counts": tuple(prepared.counts.tolist()),
        "images": {"side": side, "channels": channels, "fit": _fit(spec), "colours": COLORS[channels]},
        "normalisation": keep_normalization(learner) if isinstance(learner, TorchLearner) else None,
        "model": with_width(spec.model, shape=shape, classes=len(classes)),
        "remedy": spec.remedy.label,
        "head": None if network is None else remedy(spec.remedy).head.save(network.head),
        "layers": () if network is None else tuple(repr(network).splitlines()),
        "decision_temperature": learner.temperature if isinstance(learner, ClassicalLearner) else None,
        "run": spec,
        "plugins": _plugins(spec),
    } | _choose(spec, learner, prepared)


def _plugins(spec: RunSpec) -> dict[str, str]:
    """Return the plug-ins that register the model, the remedy or the data set of a run: file name → digest.

    Of two files with the same name, the second is named with its folder.
    """
    entries = models.entry(spec.model.name), remedies.entry(spec.remedy.name), datasets.sources.entry(spec.dataset.name)
    found: dict[str, str] = {}
    for file, digest in {one.origin.file: one.origin.digest for one in entries if one.origin.file}.items():
        path = Path(file)
        found[path.name if path.name not in found else f"{path.parent.name}/{path.name}"] = digest
    return found


def _choose(spec: RunSpec, learner: TorchLearner | KerasLearner | ClassicalLearner, prepared: data.Prepared) -> dict[str, Any]:
    """Return τ, temperature and balanced accuracy on validation.

    They are computed from predictions rounded as in the store, so they equal those in the record of the run. There is one
    exception: if all validation images are classified correctly, the best-fitting temperature goes to 0, and the confidence would
    be higher than the validation images can justify. The temperature is then at least 1.
    """
    labels, counts = prepared.validation.labels, prepared.counts
    log_proba, found = round_log_probabilities(learner.predict_log_proba(prepared.validation.images)), remedy(spec.remedy).posthoc
    tau = None if found is None else found.choose(log_proba, labels, counts)
    if found is not None and tau is not None:
        log_proba = found.apply(log_proba, counts, tau)
    temperature = round(classification.fit_temperature(classification.normalize(log_proba), labels), 4)
    all_correct = bool(np.all(log_proba.argmax(axis=1) == labels))
    return {
        "tau": tau,
        "temperature": max(1.0, temperature) if all_correct else temperature,
        "validation": round(classification.balanced_accuracy(log_proba.argmax(axis=1), labels, classes=len(counts)), 6),
    }


def _fit(spec: RunSpec) -> str:
    """Return how images were made square; images of public data sets that are not square are stretched."""
    return str(datasets.sources.options(spec.dataset).get("fit", "stretch"))


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in VERSIONED}
