"""Build a table with one row per published run. It can be read without this package."""

from collections.abc import Sequence

import pandas as pd

from imagestudy.core.specs import SEED_STREAMS, RunSpec
from imagestudy.experiments.records import Record, labels_key
from imagestudy.models import models
from imagestudy.remedies import remedies

COLUMNS = {
    "run_id": "id of the run, a hash of everything it depends on; the predictions file uses it as a key",
    "kind": "run (scored once on test images), trial (validation only), diagnostic (test images during training), cost, start",
    "dataset": "data set with its options",
    "model": "model with its options",
    "family": "family of the model",
    "parameters": "parameter budget that sets the model's width; empty if the model keeps its own size",
    "profile": "how the training set is imbalanced",
    "remedy": "key of the remedy for imbalance; none is plain training",
    "remedy_title": "name of the remedy",
    "noise": "noise added to the images",
    "preprocessing": "steps before training, then augmentations",
    "images_seen": "training budget: number of images shown, with repetitions",
    "learning_rate": "peak learning rate; empty if the recipe's default is used",
    "seed": "number of the paired run; it fixes subset, class order, initialization and batch order",
    "split": "number of the redrawn split; empty if the data set's own split is used",
    "moved": "seeds that differ from `seed`, as stream=seed",
    "labels": "key of the labels of the run's test and validation images in the predictions file",
    "seconds": "duration of the training in seconds; other work on the machine makes it longer",
    "test_…": "score on the test images",
    "validation_…": "score on the validation images",
}
"""Column → its description. The last two entries describe one column per score."""


def label_names(specs: Sequence[RunSpec]) -> dict[str, str]:
    """Return key of labels in the store → their name in the published predictions file."""
    keys = sorted({labels_key(spec.dataset, spec.split) for spec in specs})
    return {key: f"labels-{number}" for number, key in enumerate(keys)}


def tabulate_runs(records: Sequence[Record]) -> pd.DataFrame:
    """Return a table with one row per run and the columns of `COLUMNS`, sorted by cell and seed."""
    names = label_names([record.spec for record in records])
    rows = [_row(record, names[labels_key(record.spec.dataset, record.spec.split)]) for record in records]
    order = ["kind", "dataset", "model", "profile", "remedy", "noise", "preprocessing", "images_seen", "seed", "run_id"]
    return pd.DataFrame(rows).sort_values(order, ignore_index=True)


def _row(record: Record, labels: str) -> dict[str, object]:
    spec = record.spec
    steps = [step.label for step in (*spec.preprocessing.steps, *spec.preprocessing.augment)]
    moved = [f"{stream}={spec.seed_of(stream)}" for stream in SEED_STREAMS if spec.seed_of(stream) != spec.seed]
    described = {
        "run_id": spec.run_id,
        "kind": spec.kind,
        "dataset": spec.dataset.label,
        "model": spec.model.label,
        "family": models.entry(spec.model.name).facts["family"],
        "parameters": spec.model.params,
        "profile": spec.profile.label,
        "remedy": spec.remedy.label,
        "remedy_title": remedies.entry(spec.remedy.name).facts["title"],
        "noise": "none" if spec.preprocessing.noise is None else spec.preprocessing.noise.label,
        "preprocessing": ", ".join(steps),
        "images_seen": spec.training.images_seen,
        "learning_rate": spec.training.learning_rate,
        "seed": spec.seed,
        "split": spec.split,
        "moved": " ".join(moved),
        "labels": labels,
        "seconds": record.cost.get("seconds"),
    }
    test = {f"test_{name}": value for name, value in record.scores.items()}
    return described | test | {f"validation_{name}": value for name, value in record.validation.items()}
