"""Who pays and who gains: the frequent and the rare classes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64

from imagestudy.analysis import comparisons
from imagestudy.analysis.comparisons import Effect
from imagestudy.analysis.imbalance.selection import PLAIN, title_of
from imagestudy.experiments.records import Record, Records
from imagestudy.metrics import classification
from imagestudy.stats import Judged

ENDS = ("head", "tail")


def group_effect(ours: Records, baseline: Records, group: str) -> Effect:
    """Recall of a group ("head", "middle" or "tail") minus the baseline's; which classes are in the group changes with the run."""
    ours, baseline = comparisons.paired(ours, baseline)
    labels = baseline.test_labels()
    shares = np.stack([_share(record, labels, group) for record in baseline])
    values = (ours.correct() - baseline.correct()) * shares
    return Effect(values, comparisons.weights_of(labels), labels, unit=float(shares.max()))


def _share(record: Record, labels: Int64[np.ndarray, " image"], group: str) -> Float[np.ndarray, " image"]:
    """K over the classes of the group for its images, 0 for others: with the weights of balanced accuracy, the group's recall."""
    counts = np.array(record.facts["counts"], dtype=np.int64)
    members = classification.groups(counts)[group]
    return np.isin(labels, members) * (len(counts) / len(members))


def judge_groups(ours: Records, baseline: Records, *, margin: float, groups: Sequence[str] = ENDS) -> dict[str, Judged]:
    """Group → the judged change of its recall; all are declared together. Empty where training is balanced."""
    present = [
        name for name in groups if name in classification.groups(np.array(baseline.records[0].facts["counts"], dtype=np.int64))
    ]
    effects = {name: group_effect(ours, baseline, name) for name in present}
    return {name: comparisons.judge(effect, margin=margin, comparisons=len(present)) for name, effect in effects.items()}


def say_groups(judged: dict[str, Judged], *, remedy: str) -> str:
    """What a remedy does to the recall of each group, one sentence a group."""
    ours = f"The remedy *{title_of(remedy)}*"
    return " ".join(comparisons.say(one, ours, PLAIN, of=f"recall of the {group} classes") for group, one in judged.items())


def recall_by_count(records: Records) -> pd.DataFrame:
    """One row a run and class: remedy, seed, class, its training images (`count`) and its recall."""
    labels = records.test_labels()
    rows = []
    for record, correct in zip(records, records.correct(), strict=True):
        said = {"remedy": title_of(record.spec.remedy.name), "seed": record.spec.seed}
        for label, count in enumerate(record.facts["counts"]):
            rows.append(said | {"class": label, "count": count, "recall": float(correct[labels == label].mean())})
    return pd.DataFrame(rows)


def say_rarity(frame: pd.DataFrame) -> str:
    """For each remedy the mean recall of the rarest and of the most frequent classes."""
    ends = [int(frame["count"].min()), int(frame["count"].max())]
    mean = frame.groupby(["remedy", "count"])["recall"].mean()
    said = [f"{' and '.join(f'{mean[title, end]:.2f}' for end in ends)} with {title}" for title in dict.fromkeys(frame["remedy"])]
    images = "image" if ends[0] == 1 else "images"
    return f"Mean recall of classes of {ends[0]} training {images}, and of {ends[1]}: {'; '.join(said)}."
