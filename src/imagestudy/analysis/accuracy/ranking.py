"""All models on balanced training data: who leads, who cannot be told from whom, what they miss, what they cost.

Everything is computed from records. Test images are only scored; the images that are shown are those of validation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64, UInt8

from imagestudy import data, stats
from imagestudy.analysis import comparisons
from imagestudy.core.errors import InputError, require_known
from imagestudy.data import datasets
from imagestudy.experiments.grids import DECIDING, TRADITIONAL, Plan
from imagestudy.experiments.records import Records
from imagestudy.models import models

SCORES = ("accuracy", "balanced_accuracy")
COSTS = ("params", "flops", "seconds", "memory_mb", "latency_ms")
BASELINES = ("majority", "logistic")
FLOOR = "majority"
FAMILY_TITLES = {"ann": "ANN", "cnn": "CNN", "rnn": "RNN", "transformer": "Transformer"}
MOST_PICTURES = 60
MORE = 4
"""How many times as many runs, or test images, a projection looks at."""


def check(*, score: str, cost: str, missed_shown: int) -> None:
    """Raise `InputError` for a score or cost that is not known, or a number of pictures that does not fit."""
    require_known(score, SCORES, what="score", where="parameter 'score'")
    require_known(cost, COSTS, what="cost", where="parameter 'cost'")
    if not 1 <= missed_shown <= MOST_PICTURES:
        raise InputError(f"{missed_shown} was given in parameter 'missed_shown'; allowed: 1 to {MOST_PICTURES} pictures")


def rank(records: Records, *, score: str) -> pd.DataFrame:
    """`compare.summarize`, the highest first, with the family's `title`, and `near`: not distinguishable from the best."""
    frame = comparisons.summarize(records, score=score).assign(near=comparisons.near_best(records, score=score))
    frame["title"] = [FAMILY_TITLES.get(family, family) for family in frame["family"]]
    return frame.sort_values("estimate", ascending=False, kind="stable", ignore_index=True)


def baselines(ranked: pd.DataFrame) -> pd.DataFrame:
    """The rows of what any network must beat."""
    return ranked[ranked["model"].isin(BASELINES)]


def say_baselines(ranked: pd.DataFrame, *, score: str) -> str:
    """How high the baselines lie, and how much room they leave."""
    found = baselines(ranked).to_dict("records")
    if not found:
        return "This study has neither of the two baselines."
    said = "; ".join(f"{row['model']} reaches {row['estimate']:.3f}" for row in reversed(found))
    room = 100 * (1 - max(row["estimate"] for row in found))
    return f"In {_words(score)}, {said}. Above the better baseline there is room for {room:.1f} points."


def _words(score: str) -> str:
    return score.replace("_", " ")


def axis_start(ranked: pd.DataFrame) -> float:
    """Where an axis of scores begins so that the models fill it: below all but the majority class, at a multiple of 0.05."""
    others = ranked.loc[ranked["model"] != FLOOR, "estimate"]
    lowest = float((others if len(others) else ranked["estimate"]).min())
    return float(np.clip(np.floor((lowest - 0.02) * 20) / 20, 0.0, 0.95))


def say_lead(ranked: pd.DataFrame, *, score: str, what: str = "model") -> str:
    """Who has the highest mean, and who cannot be told from it."""
    best, *others = ranked.to_dict("records")
    near = [str(row[what]) for row in others if row["near"]]
    interval = f"{best['estimate']:.3f} [{best['low']:.3f}, {best['high']:.3f}]"
    tail = f"Not distinguishable from it: {', '.join(near)}." if near else "Every other lies below it."
    rest = len(others) - len(near)
    below = f" The other {'one lies' if rest == 1 else f'{rest} lie'} below it." if near and rest else ""
    return f"The highest {_words(score)} is that of **{best[what]}**: {interval}. {tail}{below}"


def rank_families(records: Records, *, score: str) -> pd.DataFrame:
    """Each family by that member which is best on validation, chosen anew in every run; the highest first.

    Returns:
        Columns `family`, `chosen`, `estimate`, `low`, `high`, `runs`, `images` and `near`, as in `rank`.
    """
    cells: dict[str, list[Records]] = {}
    for cell in records.cells().values():
        cells.setdefault(models.entry(cell.records[0].spec.model.name).facts["family"], []).append(cell)
    chosen = {family: comparisons.choose_by_validation(members, score=score) for family, members in cells.items()}
    means = {family: float(comparisons.level_of(runs, score=score).by_run.mean()) for family, runs in chosen.items()}
    best = max(means, key=means.__getitem__)
    level = stats.corrected_level(max(1, len(chosen) - 1))
    rows = []
    for family, runs in chosen.items():
        interval = comparisons.level_of(runs, score=score).interval(limits=(0.0, 1.0))
        near = family == best or comparisons.difference(chosen[best], runs, score=score).interval(level=level).low <= 0
        bounds = {name: getattr(interval, name) for name in ("estimate", "low", "high", "runs", "images")}
        rows.append({"family": FAMILY_TITLES.get(family, family), "chosen": _say_chosen(runs)} | bounds | {"near": near})
    return pd.DataFrame(rows).sort_values("estimate", ascending=False, kind="stable", ignore_index=True)


def _say_chosen(runs: Records) -> str:
    names = [record.spec.model.name for record in runs]
    return ", ".join(f"{name} {names.count(name)}×" for name in sorted(set(names), key=lambda name: (-names.count(name), name)))


def deciding(records: Records) -> dict[str, Records]:
    """Name → cell of the deciding members; where the records have fewer than two of them, of all contenders."""
    cells = {name: cell for name in DECIDING.values() if len(cell := records.where(model=name))}
    if len(cells) > 1:
        return cells
    return {cell.records[0].spec.model.name: cell for cell in contenders(records).cells().values()}


def compare_pairs(plan: Plan, records: Records, *, score: str) -> pd.DataFrame:
    """Every deciding member against every later one, declared together.

    Returns:
        Columns `row` and `column`, the two members, and those of `compare.as_row`, for row minus column.

    Raises:
        InputError: there is one model alone.
    """
    cells = deciding(records)
    if len(cells) < 2:
        raise InputError(f"study {plan.name!r} has nothing to compare; needed: two models or more besides {FLOOR!r}")
    pairs = list(combinations(cells, 2))
    rows = []
    for a, b in pairs:
        effect = comparisons.difference(cells[a], cells[b], score=score)
        judged = comparisons.judge(effect, margin=plan.study.margin, comparisons=len(pairs))
        rows.append({"row": a, "column": b} | comparisons.as_row(judged))
    return pd.DataFrame(rows)


def decidable(plan: Plan) -> list[str]:
    """Those claims on accuracy, as named in `claims.CLAIMS`, whose members the study has."""
    names = set(plan.study.models)
    facts = [models.entry(name).facts for name in names - {FLOOR}]
    learned = any(fact["kind"] == "neural" and fact["era"] == "modern" for fact in facts)
    fixed = any(fact["kind"] == "classical" for fact in facts)
    holds = {
        "A1": learned and fixed,
        "A2": names >= set(DECIDING.values()),
        "A3–A5": names >= {side[family] for family in TRADITIONAL for side in (TRADITIONAL, DECIDING)},
    }
    return [claim for claim, all_there in holds.items() if all_there]


def say_findings(findings: pd.DataFrame) -> str:
    """Each claim of `claims.table` with its verdict, effect and what would decide it, one a line."""
    if findings.empty:
        return "This study lacks the members that decide these claims."
    return "\n".join(_say_finding(row) for row in findings.to_dict("records"))


def _say_finding(row: dict) -> str:
    needed = f"; {row['would decide it']} would decide it" if row["would decide it"] else ""
    points = f" ({row['points']})" if row["points"] else ""
    return f"- {row['claim']}, *{row['says']}*: **{row['verdict']}**{points}{needed}."


def say_other_scores(ranked: pd.DataFrame) -> str:
    """Which model is best by each of the other scores. They carry no interval, so that they rank nothing."""
    shown = ranked[ranked["model"] != FLOOR]
    bests = {
        "macro-F1": ("macro_f1", True),
        "the worst class": ("worst_class", True),
        "calibration error": ("ece", False),
        "negative log-likelihood": ("nll", False),
    }
    said = []
    for words, (column, high) in bests.items():
        best = shown.loc[[shown[column].idxmax() if high else shown[column].idxmin()]].to_dict("records")[0]
        said.append(f"{words}: {best['model']}, {best[column]:.3f}")
    return f"Best in {'; in '.join(said)}. These are means over the runs without intervals: they describe, and decide nothing."


@dataclass(frozen=True)
class Hardest:
    """Validation images that the models miss most often, the hardest first.

    Args:
        images: as the models saw them.
        captions: true class, what most of the runs that miss it say, and the share of all runs that do.
    """

    images: UInt8[np.ndarray, "n height width channel"]
    captions: tuple[str, ...]

    @property
    def places(self) -> Int64[np.ndarray, " n"]:
        """The number of each caption, for `figures.show_images`."""
        return np.arange(len(self.captions))


def contenders(records: Records) -> Records:
    """All records but those of the majority class, which looks at no image."""
    return Records(tuple(record for record in records if record.spec.model.name != FLOOR), records.labels)


def share_right(records: Records) -> Float[np.ndarray, " image"]:
    """For each test image, the share of the runs of all contenders that name it rightly."""
    return contenders(records).correct().mean(axis=0)


def say_agreement(records: Records) -> str:
    """How many test images every run of every contender names rightly, how many most of them miss, how many all."""
    right = share_right(records)
    every, few, none = int((right == 1).sum()), int(((right <= 0.5) & (right > 0)).sum()), int((right == 0).sum())
    return (
        f"Of {len(right):,} test images, {every:,} are named rightly by every run of every model (the majority class left out); "
        f"{few:,} by half of the runs or fewer; {none:,} by none."
    )


def find_hardest(records: Records, *, number: int) -> Hardest:
    """The validation images that most of the contenders' runs miss, of equally many the least likely to be named rightly first.

    No model was trained on them, and no test image is shown.
    """
    runs = contenders(records)
    validation = data.prepare(runs.records[0].spec).validation
    predicted = np.stack([record.arrays["validation"].argmax(axis=1) for record in runs])
    wrong = (predicted != validation.labels).mean(axis=0)
    every = np.arange(len(wrong))
    likely = np.mean([record.arrays["validation"][every, validation.labels] for record in runs], axis=0, dtype=np.float64)
    hardest = np.lexsort((likely, -wrong))[:number]
    classes = datasets.load(runs.records[0].spec.dataset).classes
    captions = [_caption(classes, int(validation.labels[i]), float(wrong[i]), predicted[:, i]) for i in hardest]
    return Hardest(validation.images[hardest], tuple(captions))


def _caption(classes: Sequence[str], label: int, wrong: float, predicted: Int64[np.ndarray, " run"]) -> str:
    mistaken = np.bincount(predicted[predicted != label], minlength=len(classes))
    said = f"said {classes[int(mistaken.argmax())]}" if mistaken.any() else "never missed"
    return f"{classes[label]}\n{said}\n{100 * wrong:.0f} % miss"


def share_errors(records: Records) -> pd.DataFrame:
    """Of the images that a deciding member misses, the share that another one, or another run of its own, misses too.

    Returns:
        One row a member: `model`, `missed` (share of all test images), then a column a member; missing where nothing is missed.
    """
    wrong = {name: 1 - cell.correct() for name, cell in deciding(records).items()}
    rows = []
    for name, own in wrong.items():
        row: dict[str, object] = {"model": name, "missed": float(own.mean())}
        rows.append(row | {other: _shared(own, theirs, same=name == other) for other, theirs in wrong.items()})
    return pd.DataFrame(rows)


def _shared(own: Float[np.ndarray, "run image"], theirs: Float[np.ndarray, "other image"], *, same: bool) -> float:
    """Mean over pairs of different runs of the misses they share, over the mean number of one's own misses."""
    both = own @ theirs.T
    pairs = both[np.eye(*both.shape) == 0] if same else both
    return float(pairs.mean() / own.sum(axis=1).mean()) if pairs.size and own.any() else float("nan")


def with_costs(ranked: pd.DataFrame, costs: Records) -> pd.DataFrame:
    """The ranking with what one training cost, measured alone; models whose cost was not measured are left out."""
    measured = pd.DataFrame(
        [
            {"model": record.spec.model.label} | {name: record.cost.get(name, float("nan")) for name in COSTS}
            for record in costs
            if record.spec.kind == "cost"
        ],
        columns=["model", *COSTS],
    )
    return ranked.drop(columns="seconds").merge(measured, on="model")


def say_costs(priced: pd.DataFrame) -> str:
    """Among the models that cannot be told from the best, the one that trains fastest, and how much longer the slowest takes."""
    near = priced[priced["near"]].sort_values("seconds").to_dict("records")
    if len(near) < 2:
        return f"Cost was measured for {len(near)} of the models that cannot be told from the best: there is nothing to weigh."
    first, last = near[0], near[-1]
    ratio = last["seconds"] / max(first["seconds"], 1e-3)
    return (
        f"Of the {len(near)} models that cannot be told from the best, {first['model']} trains fastest, in "
        f"{first['seconds']:.2g} s; {last['model']} takes {ratio:,.0f} times as long."
    )


def measure_spread(records: Records, *, score: str) -> pd.DataFrame:
    """How far one run's score moves with another training and with another test set: standard deviations, in points.

    Returns:
        One row a model but the majority class. `seen`: between the recorded runs, on one test set. `training`: on an endless test
        set. `test_set`: the same trained model on another test set of this size, what its runs have in common and what is one run's
        own taken together. `test_share`: of the variance of the two.
    """
    rows = []
    for cell in contenders(records).cells().values():
        spread = _spread(cell, score=score)
        test_set = spread.sampling + spread.residual
        whole = spread.training + test_set
        row = {"model": cell.records[0].spec.model.label, "runs": spread.runs, "seen": 100 * np.sqrt(spread.between_runs)}
        row |= {"training": 100 * np.sqrt(spread.training), "test_set": 100 * np.sqrt(test_set)}
        rows.append(row | {"test_share": test_set / whole if whole > 0 else float("nan")})
    return pd.DataFrame(rows)


def _spread(cell: Records, *, score: str) -> stats.Spread:
    effect = comparisons.shared_level(cell, score=score)
    return stats.measure_spread(effect.values, weights=effect.weights, strata=effect.strata)


def say_spread(spread: pd.DataFrame) -> str:
    """In how many models the finite test set makes more of the variance than training does."""
    known = spread.dropna(subset=["test_share"])
    if known.empty:
        return "From single runs another training and another test set cannot be told apart."
    most = int((known["test_share"] > 0.5).sum())
    return (
        f"Standard deviations of one run's score, in points; a component whose estimate is not above zero stands as 0. In {most} "
        f"of {len(known)} models the finite test set makes more than half of the variance; the median share is "
        f"{100 * known['test_share'].median():.0f} %. Estimates from {int(known['runs'].max())} runs are rough."
    )


def project(records: Records, *, score: str, model: str) -> pd.DataFrame:
    """Half the width of one model's 95 % interval: as recorded, with more runs, with more test images, with both."""
    spread = _spread(records.where(model=model), score=score)
    rows = []
    for words, runs, images in (
        ("as recorded", 1, 1),
        (f"{MORE} times the runs", MORE, 1),
        (f"{MORE} times the test images", 1, MORE),
        ("both", MORE, MORE),
    ):
        larger = spread.projected(runs=runs * spread.runs, images=float(images))
        half = larger.half_width(level=0.95)
        rows.append({"with": words, "runs": larger.runs, "test images": larger.images, "half_width": 100 * half})
    return pd.DataFrame(rows)


def say_projection(projected: pd.DataFrame, *, model: str) -> str:
    """Which of the two, more runs or more test images, narrows the interval more."""
    now, runs, images, _ = projected["half_width"]
    if not np.isfinite(now):
        return f"One run of {model} shows no spread between trainings."
    more = "more test images" if images < runs else "more runs" if runs < images else "neither rather than the other"
    return (
        f"For {model}: ±{now:.1f} points as recorded, ±{runs:.1f} with {MORE} times the runs, ±{images:.1f} with {MORE} times "
        f"the test images. What would sharpen it more: {more}."
    )


def conclude(ranked: pd.DataFrame, families: pd.DataFrame, findings: pd.DataFrame, *, score: str) -> str:
    """The answer to the notebook's question, from the tables and verdicts alone."""
    near = [str(name) for name in families.loc[families["near"], "family"]]
    lead = f"**{near[0]}**" if len(near) == 1 else f"no family alone: {', '.join(near[:-1])} and {near[-1]} cannot be told apart"
    parts = [
        f"Which family recognizes best on balanced training data? By its best member on validation, {lead}.",
        say_lead(ranked, score=score),
        _say_verdicts(findings),
    ]
    return "\n\n".join(part for part in parts if part)


def _say_verdicts(findings: pd.DataFrame) -> str:
    """All claims by verdict, in one sentence."""
    if findings.empty:
        return ""
    named: dict[str, list[str]] = {}
    for row in findings.to_dict("records"):
        named.setdefault(row["verdict"], []).append(row["claim"])
    told = [f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} **{verdict}**" for verdict, names in named.items()]
    return f"Of the article's claims, {'; '.join(told)}."
