"""Measure how a remedy changes the recall of the frequent and of the rare classes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64

from imagestudy.analysis import comparisons
from imagestudy.analysis.comparisons import Effect
from imagestudy.analysis.imbalance.selection import PLAIN, say_remedy, say_title, title_of
from imagestudy.experiments.records import Record, Records
from imagestudy.metrics import classification
from imagestudy.stats import Judged

ENDS = ("head", "tail")


def group_effect(ours: Records, baseline: Records, group: str) -> Effect:
    """Return the difference in recall of a group of classes ("head", "middle" or "tail") between some runs and a baseline.

    Each run has its own classes in the group.
    """
    ours, baseline = comparisons.paired(ours, baseline)
    labels = baseline.test_labels()
    shares = np.stack([_share(record, labels, group) for record in baseline])
    values = (ours.correct() - baseline.correct()) * shares
    return Effect(values, comparisons.weights_of(labels), labels, unit=float(shares.max()))


def _share(record: Record, labels: Int64[np.ndarray, " image"], group: str) -> Float[np.ndarray, " image"]:
    """Return the factor of each image that turns balanced accuracy into the recall of a group.

    The factor is the number of classes divided by the number of classes in the group; it is 0 for images outside the group.
    """
    counts = np.array(record.facts["counts"], dtype=np.int64)
    members = classification.groups(counts)[group]
    return np.isin(labels, members) * (len(counts) / len(members))


def judge_groups(ours: Records, baseline: Records, *, margin: float, groups: Sequence[str] = ENDS) -> dict[str, Judged]:
    """Return the judged change in recall of each group, corrected together; empty if the training data is balanced."""
    present = [
        name for name in groups if name in classification.groups(np.array(baseline.records[0].facts["counts"], dtype=np.int64))
    ]
    effects = {name: group_effect(ours, baseline, name) for name in present}
    return {name: comparisons.judge(effect, margin=margin, comparisons=len(present)) for name, effect in effects.items()}


def say_groups(judged: dict[str, Judged], *, remedy: str) -> str:
    """Return one sentence per group: how a remedy changes its recall, with interval and verdict."""
    ours, theirs = f"The remedy *{say_remedy(remedy)}*", say_remedy(PLAIN)
    return " ".join(comparisons.say(one, ours, theirs, of=f"recall of the {group} classes") for group, one in judged.items())


def recall_by_count(records: Records) -> pd.DataFrame:
    """Return one row per run and class: remedy, seed, class, its number of training images (`count`) and its recall."""
    labels = records.test_labels()
    rows = []
    for record, correct in zip(records, records.correct(), strict=True):
        said = {"remedy": title_of(record.spec.remedy.name), "seed": record.spec.seed}
        for label, count in enumerate(record.facts["counts"]):
            rows.append(said | {"class": label, "count": count, "recall": float(correct[labels == label].mean())})
    return pd.DataFrame(rows)


def say_rarity(frame: pd.DataFrame) -> str:
    """Return a sentence with the mean recall of the rarest and of the most frequent classes for each remedy."""
    ends = [int(frame["count"].min()), int(frame["count"].max())]
    mean = frame.groupby(["remedy", "count"])["recall"].mean()
    said = [
        f"{' and '.join(f'{mean[title, end]:.2f}' for end in ends)} for {say_title(title)}"
        for title in dict.fromkeys(frame["remedy"])
    ]
    images = "image" if ends[0] == 1 else "images"
    return f"Mean recall of classes with {ends[0]} training {images} and with {ends[1]}: {'; '.join(said)}."
