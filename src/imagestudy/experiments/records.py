"""Records of finished runs, and collections of them that can be filtered by run and contain the labels of the scored images."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from imagestudy.core.specs import Choice, ProfileSpec, RunSpec
from imagestudy.experiments.versions import stamp


@dataclass(frozen=True)
class Record:
    """The recorded results of one finished run.

    Args:
        spec: the run.
        scores: score name → value on the test images; empty for a trial.
        validation: score name → value on the validation images.
        cost: seconds, images seen, parameters and other measurements.
        facts: class counts of the training set, values that were chosen, accuracy on the training images.
        arrays: `test` and `validation` log-probabilities (float16), the training `curve`, and `missed`: the predicted class minus
            the true class of each test image, modulo the number of classes. A derived run stores only `missed`.
    """

    spec: RunSpec
    scores: dict[str, float]
    validation: dict[str, float]
    cost: dict[str, float]
    facts: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """A run that failed, and the reason."""

    spec: RunSpec
    reason: str

    def __str__(self) -> str:
        return f"{self.spec.run_id} {self.spec.key()}: {self.reason}"


def labels_key(dataset: Choice, split: int | None = None) -> str:
    """Return the key of the labels of a split's validation and test images in the store."""
    return f"labels of {dataset.key()}" + ("" if split is None else f", split {split}")


@dataclass(frozen=True)
class Records:
    """The records of finished runs in a fixed order, with the labels of their images.

    Args:
        records: the records.
        labels: `labels_key` of a dataset → part → labels.
    """

    records: tuple[Record, ...]
    labels: dict[str, dict[str, np.ndarray]]

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def of(self, specs: Iterable[RunSpec]) -> "Records":
        """Return the records of the given runs, in the given order. Runs without a record are left out."""
        by_id = {record.spec.run_id: record for record in self}
        wanted = dict.fromkeys(stamp(spec).run_id for spec in specs)
        return Records(tuple(by_id[run_id] for run_id in wanted if run_id in by_id), self.labels)

    def where(
        self,
        *,
        model: str | None = None,
        profile: ProfileSpec | None = None,
        remedy: str | None = None,
        dataset: Choice | None = None,
        kind: str | None = None,
    ) -> "Records":
        """Return the records that match all given values."""

        def fits(spec: RunSpec) -> bool:
            return (
                model in (None, spec.model.name)
                and profile in (None, spec.profile)
                and remedy in (None, spec.remedy.name)
                and dataset in (None, spec.dataset)
                and kind in (None, spec.kind)
            )

        return Records(tuple(record for record in self if fits(record.spec)), self.labels)

    def cells(self) -> dict[str, "Records"]:
        """Return the records by cell, in the order of their seeds. The runs of a cell differ only in seed and split."""
        grouped: dict[str, list[Record]] = {}
        for record in self:
            grouped.setdefault(record.spec.with_(seed=0, split=None).run_id, []).append(record)
        return {cell: Records(tuple(sorted(members, key=lambda r: r.spec.seed)), self.labels) for cell, members in grouped.items()}

    @property
    def is_redrawn(self) -> bool:
        """Whether every run has its own test set."""
        redrawn = {record.spec.split is not None for record in self}
        return redrawn == {True}

    def labels_of(self, record: Record) -> dict[str, Int64[np.ndarray, " image"]]:
        """Return the labels of the validation and test images of one run."""
        return self.labels[labels_key(record.spec.dataset, record.spec.split)]

    def test_labels(self) -> Int64[np.ndarray, " image"]:
        """Return the labels of the test images that all these records share."""
        (key,) = {labels_key(record.spec.dataset, record.spec.split) for record in self}
        return self.labels[key]["test"]

    def correct(self) -> Float[np.ndarray, "run image"]:
        """Return 1 where a run classifies a test image correctly, else 0; one row per record."""
        labels = self.test_labels()
        return np.stack([decided(record, labels) == labels for record in self]).astype(np.float64)


def decided(record: Record, labels: Int64[np.ndarray, " image"]) -> Int64[np.ndarray, " image"]:
    """Return the class that a run predicts for each test image.

    It is the most likely class. Without stored log-probabilities, it is computed from `missed`.
    """
    if "test" in record.arrays:
        return record.arrays["test"].argmax(axis=1)
    return (labels + record.arrays["missed"]) % len(record.facts["counts"])
