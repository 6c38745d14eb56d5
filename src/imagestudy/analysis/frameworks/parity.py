"""Compare the numbers that the twins compute with equal weights, and list the defaults that differ between the frameworks."""

import numpy as np
import pandas as pd

from imagestudy import data
from imagestudy.experiments import grids
from imagestudy.experiments.grids import Plan
from imagestudy.models.keras import is_installed, start
from imagestudy.training.keras import parity
from imagestudy.training.keras.defaults import defaults
from imagestudy.training.torch_learner import measure_channels

RANDOM, OWN = "random images", "the study's images"
WORDS = {
    "activation": "output of a layer",
    "logits": "logits",
    "running statistic": "batch norm's running statistics",
    "gradient": "gradient",
    parity.ONE_STEP: "weights after 1 step",
    parity.ALL_STEPS: f"weights after {parity.STEPS} steps",
}
NUMBERS = ["model", "batch", "what", "part", "difference", "typical", "size", "held", "allowed", "within"]


def compare_numbers(plan: Plan, *, batch: int) -> pd.DataFrame:
    """Compare each Keras model with its PyTorch twin with equal weights, on random images and on training images of the study.

    Args:
        plan: the study at its effort.
        batch: the number of images in each batch.

    Returns:
        The columns of `parity.measure`, and `model` and `batch` (the kind of images). Empty if TensorFlow is not installed.
    """
    if not is_installed():
        return pd.DataFrame(columns=NUMBERS)
    start(threads=plan.training.threads)
    shape, classes = data.image_shape(plan.study.dataset), data.class_count(plan.study.dataset)
    batches = {RANDOM: parity.draw_batch(shape, classes=classes, size=batch), OWN: _own_batch(plan, batch)}
    frames = [
        parity.measure(name, *given, classes=classes, params=grids.model_spec(plan, name).params).assign(model=name, batch=kind)
        for name in grids.TWINS.values()
        for kind, given in batches.items()
    ]
    return pd.concat(frames, ignore_index=True)[NUMBERS]


def _own_batch(plan: Plan, batch: int) -> tuple[parity.Images, parity.Labels]:
    """Return evenly spaced images of the training set of the first run, normalized as in training, and their labels."""
    train = data.prepare(grids.cell(plan, grids.DECIDING["cnn"])[0]).train
    chosen = np.linspace(0, len(train.labels) - 1, min(batch, len(train.labels))).astype(np.int64)
    mean, deviation = measure_channels(train.images)
    images = (train.images[chosen] / 255 - mean) / deviation
    return images.transpose(0, 3, 1, 2).astype(np.float32), train.labels[chosen]


def summarize_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the largest difference of each model and kind of number on both batches, with its tolerance, as text."""
    columns = ["model", "what", RANDOM, OWN, "allowed", "within"]
    if frame.empty:
        return pd.DataFrame(columns=columns)
    rows = []
    for (model, what), part in frame.groupby(["model", "what"], sort=False):
        worst = part.groupby("batch")["held"].max()
        said = {kind: f"{worst[kind]:.0e}" for kind in (RANDOM, OWN)}
        allowed = {"allowed": f"{part['allowed'].iloc[0]:.0e}", "within": bool(part["within"].all())}
        rows.append({"model": model, "what": WORDS[str(what)]} | said | allowed)
    return pd.DataFrame(rows, columns=columns)


def say_numbers(frame: pd.DataFrame) -> str:
    """Say whether all differences are within tolerance, and which ones are not."""
    if frame.empty:
        return "Whether equal weights give equal logits was not measured: TensorFlow is not installed."
    apart = frame[~frame["within"]]
    models, batches = (
        f"{frame[name].nunique()} {word}{'' if frame[name].nunique() == 1 else ending}"
        for name, word, ending in (("model", "model", "s"), ("batch", "batch", "es"))
    )
    counted = f"{len(frame)} differences (layer by layer, {models}, {batches})"
    if apart.empty:
        return f"With equal weights, all {counted} are within tolerance: the two frameworks compute the same model."
    worst = ", ".join(dict.fromkeys(f"{row['model']} {row['what']}" for row in apart.to_dict("records")))
    exceed = "exceeds" if len(apart) == 1 else "exceed"
    return f"With equal weights, {len(apart)} of {counted} {exceed} the tolerance: {worst}."


def list_defaults() -> pd.DataFrame:
    """Tabulate the defaults that differ (see `training.keras.defaults`); empty if TensorFlow is not installed."""
    columns = ["what", "PyTorch", "Keras", "here"]
    return defaults().astype(str) if is_installed() else pd.DataFrame(columns=columns)


def say_defaults(frame: pd.DataFrame) -> str:
    """Say how many defaults differ, as the caption of the table of `list_defaults`."""
    differ = "default differs" if len(frame) == 1 else "defaults differ"
    return f"{len(frame)} {differ}. “here” is the value that the Keras models and their training use." if len(frame) else ""
