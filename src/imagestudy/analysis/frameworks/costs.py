"""What the twins cost, as ratios Keras / PyTorch of measurements that were taken in turn."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from imagestudy import figures
from imagestudy.core import text
from imagestudy.experiments import grids
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Record, Records
from imagestudy.figures import Picture

MORE, LESS = "more is better", "less is better"
EITHER = "the framework"
"""Whose an import is: no model's."""
TRAINING, PREDICTION, LATENCY = "training, images a second", "prediction, images a second", "one image, ms"
FIRST_STEP, IMPORT = "build and first step, s", "import, s"
IMPORT_MEMORY, MEMORY = "import, MiB", "training, MiB above the start"
HOW_MEASURED = (
    "Medians; Keras / PyTorch as the median of the rounds with the lowest and the highest. In a round the twins were measured one "
    "right after the other, each in a fresh process; who came first changed from round to round."
)


@dataclass(frozen=True)
class Measurement:
    """One model in one round: a whole training, and the start of one."""

    whole: Record
    start: Record


def _rate(one: Measurement) -> float:
    """Images a second after the first step, which compiles; nothing where noise has eaten what is left."""
    seen = one.whole.spec.training.images_seen - one.start.spec.training.images_seen
    seconds = one.whole.cost["seconds"] - one.start.cost["seconds"]
    return seen / seconds if seconds > 0 else float("nan")


QUANTITIES: dict[str, tuple[str, Callable[[Measurement], float]]] = {
    TRAINING: (MORE, _rate),
    PREDICTION: (MORE, lambda one: one.whole.cost["images_per_second"]),
    LATENCY: (LESS, lambda one: one.whole.cost["latency_ms"]),
    FIRST_STEP: (LESS, lambda one: one.start.cost["seconds"]),
    IMPORT: (LESS, lambda one: one.start.cost["import_seconds"]),
    IMPORT_MEMORY: (LESS, lambda one: one.start.cost["import_mb"]),
    MEMORY: (LESS, lambda one: one.whole.cost["memory_mb"]),
}
"""What is compared → which way is better, and its number in a round."""


def measured(plan: Plan, records: Records) -> pd.DataFrame:
    """One row a quantity, model and round in which both twins were measured.

    Returns:
        Columns `what`, `group` (which way is better), `model` (in PyTorch), `round`, `torch`, `keras`, `ratio` (Keras / PyTorch).
    """
    rows = [
        {"what": what, "group": way, "model": EITHER if what in (IMPORT, IMPORT_MEMORY) else name, "round": number}
        | {"torch": number_of(torch), "keras": number_of(keras)}
        for name, number, torch, keras in _rounds(plan, records)
        for what, (way, number_of) in QUANTITIES.items()
    ]
    frame = pd.DataFrame(rows, columns=["what", "group", "model", "round", "torch", "keras"])
    frame = frame.assign(ratio=frame["keras"].astype(float) / frame["torch"].astype(float)).dropna(subset="ratio")
    order = {what: place for place, what in enumerate(QUANTITIES)}
    return frame.sort_values("what", key=lambda names: names.map(order), kind="stable", ignore_index=True)


def _rounds(plan: Plan, records: Records) -> Iterator[tuple[str, int, Measurement, Measurement]]:
    """Name in PyTorch, number of the round, and the measurements of PyTorch and Keras, of every round that is whole."""
    found = {f"{r.spec.model.name} {r.spec.kind} {r.spec.seed}": r for r in records.of(grids.twin_costs(plan))}
    for number in sorted({record.spec.seed for record in found.values()}):
        for name, twin in grids.TWINS.items():
            keys = [f"{one} {kind} {number}" for one in (name, twin) for kind in ("cost", "start")]
            if all(key in found for key in keys):
                whole, start, their_whole, their_start = (found[key] for key in keys)
                yield name, number, Measurement(whole, start), Measurement(their_whole, their_start)


def ratios(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a quantity and model: the medians, the median of the ratios and the lowest and highest, and how many rounds."""
    rows = []
    for (what, model), part in frame.groupby(["what", "model"], sort=False):
        middle, low, high = part["ratio"].median(), part["ratio"].min(), part["ratio"].max()
        medians = {"torch": text.about(part["torch"].median()), "keras": text.about(part["keras"].median())}
        said = {"times": f"{_times(middle)} [{_times(low)}, {_times(high)}]", "rounds": len(part)}
        rows.append({"what": what, "model": model} | medians | {"ratio": middle, "low": low, "high": high} | said)
    return pd.DataFrame(rows, columns=["what", "model", "torch", "keras", "ratio", "low", "high", "times", "rounds"])


def _times(ratio: float) -> str:
    """`0.87`, `1.2`, `34`: two digits that mean something."""
    return f"{float(f'{ratio:.2g}'):,.10g}"


def draw_ratios(frame: pd.DataFrame) -> Picture:
    """The ratios of all rounds, one line a quantity."""
    return figures.draw_ratios(frame, axis="Keras / PyTorch (log scale)\nsmall: each round, large: their median")


def say_ratios(plan: Plan, records: Records) -> str:
    """What stands behind the table of `ratios`."""
    return f"{HOW_MEASURED} {_say_memory(plan, records)}"


def say_speed(frame: pd.DataFrame) -> list[str]:
    """Training and prediction of each model, a sentence each, and the start."""
    if frame.empty:
        return ["What the two frameworks cost was not measured at this effort."]
    rows = {(row["what"], row["model"]): row for row in frame.to_dict("records")}
    said = [
        f"{'In training' if what == TRAINING else 'In prediction'}, Keras does {row['times']} times the images a second of PyTorch "
        f"on {model}: {_consistently(row)}."
        for (what, model), row in rows.items()
        if what in (TRAINING, PREDICTION)
    ]
    first = [f"{row['times']} times as long on {model}" for (what, model), row in rows.items() if what == FIRST_STEP]
    imported = [row["times"] for (what, _), row in rows.items() if what == IMPORT]
    started = f"To start, its import takes {imported[0]} times as long, building and the first step {' and '.join(first)}."
    return [*said, started]


def _consistently(row: dict) -> str:
    if row["low"] > 1:
        return "faster in every round"
    return "slower in every round" if row["high"] < 1 else "faster in some rounds, slower in others"


def _say_memory(plan: Plan, records: Records) -> str:
    """How much of a training's memory is there after its first step already, in both frameworks."""
    found = list(_rounds(plan, records))
    if not found:
        return ""
    sides = {"PyTorch": [torch for _, _, torch, _ in found], "Keras": [keras for _, _, _, keras in found]}
    said = [
        f"{100 * np.median([one.start.cost['memory_mb'] / one.whole.cost['memory_mb'] for one in taken]):.0f} % in {side}"
        for side, taken in sides.items()
    ]
    return f"Of the memory above the start, {' and '.join(said)} are taken by the first step already."
