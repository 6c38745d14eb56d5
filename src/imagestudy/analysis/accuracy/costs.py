"""What the models cost: parameters, operations, and time and memory measured alone."""

import pandas as pd

from imagestudy.core.text import say_times
from imagestudy.experiments.records import Records

COSTS = ("params", "flops", "seconds", "memory_mb", "latency_ms")


def with_costs(ranked: pd.DataFrame, costs: Records) -> pd.DataFrame:
    """Add the cost of one training of each model, measured alone; rows of models without a measured cost are left out.

    Args:
        ranked: one row per model, or several per model if it lists candidates.
        costs: one measurement per model, as declared by `grids.model_costs`.

    Raises:
        pandas.errors.MergeError: a model was measured twice.
    """
    measured = pd.DataFrame(
        [
            {"model": record.spec.model.label} | {name: record.cost.get(name, float("nan")) for name in COSTS}
            for record in costs
            if record.spec.kind == "cost"
        ],
        columns=["model", *COSTS],
    )
    return ranked.drop(columns="seconds").merge(measured, on="model", validate="many_to_one")


def say_costs(priced: pd.DataFrame) -> str:
    """Return a sentence: which of the best models trains fastest, and how much longer the slowest of them takes.

    The best models are those that are statistically indistinguishable from the highest.
    """
    near = priced[priced["near"]].sort_values("seconds").to_dict("records")
    if len(near) < 2:
        return f"The cost of {len(near)} of the best models was measured, so there is nothing to compare."
    first, last = near[0], near[-1]
    return (
        f"Of the {len(near)} best models (statistically indistinguishable from the highest), {first['model']} trains fastest, in "
        f"{first['seconds']:.2g} s; {last['model']} takes {say_times(last['seconds'] / max(first['seconds'], 1e-3))}."
    )
