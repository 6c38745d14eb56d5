"""The answer in sentences and small tables: what the data is like, what was tried, what to use, at what cost."""

import numpy as np
import pandas as pd
from jaxtyping import Int64

from imagestudy import data, figures
from imagestudy.analysis import comparisons
from imagestudy.analysis.recommendation.answer import Answer, name_of
from imagestudy.core.text import about, escape
from imagestudy.data import datasets, splits
from imagestudy.experiments import runner
from imagestudy.experiments.dependencies import is_derived
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.search import PLAIN, SCORE, Candidate
from imagestudy.models import models
from imagestudy.models.pretrained import starting_weights
from imagestudy.remedies import remedies


def say_answer(answer: Answer) -> str:
    """The recommendation with its interval, against plain training, as one paragraph of Markdown."""
    best, level, plain = answer.best, answer.level, comparisons.level_of(answer.plain).interval(limits=(0.0, 1.0))
    chose = sum(Candidate(r.spec.model.name, r.spec.remedy.name) == best for r in answer.chosen)
    remedy = (
        "without a remedy" if best.remedy == PLAIN else f"with the remedy **{escape(remedies.entry(best.remedy).facts['title'])}**"
    )
    return (
        f"Use model **{best.model}** {remedy}. Chosen anew in every run, such a choice reaches a balanced accuracy of "
        f"**{comparisons.say_share(level)}** on test images that had no part in it, against {comparisons.say_share(plain)} for "
        f"plain training of the same model: {comparisons.say_points(answer.gain.interval)}, {answer.gain.verdict}; "
        f"{comparisons.say_n(level)}. This very candidate was the choice of {chose} of {len(answer.chosen)} runs."
        f"{say_price(answer)}"
    )


def say_price(answer: Answer) -> str:
    """What the remedy does to the share of all images that are named rightly, where the frequent classes count most."""
    accuracy = answer.panel.set_index("candidate")["accuracy"]
    if answer.best.remedy == PLAIN or answer.best.model not in accuracy:
        return ""
    with_it, without = accuracy[name_of(answer.best)], accuracy[answer.best.model]
    return f" Of all images alike, it names {with_it:.1%} rightly, where plain training of the same model names {without:.1%}."


def say_near(answer: Answer) -> str:
    """Who of the panel is higher than the recommendation, who cannot be told from it, or that all others are lower."""
    best, others = escape(name_of(answer.best)), answer.panel[~answer.panel["recommended"]]
    higher, near = others[others["verdict"] == "higher"], others[others["near"]]
    said = []
    if len(higher):
        said.append(f"Higher than {best} on the test images, though not on validation, which chooses: {_names(higher)}.")
    if len(near):
        said.append(f"Not distinguishable from {best}: {_names(near)}.")
    return " ".join(said) or f"Every other candidate that was trained with the whole budget is lower than {best}."


def _names(rows: pd.DataFrame) -> str:
    return escape("; ".join(rows["candidate"]))


def say_cheapest(answer: Answer) -> str:
    """Which of those that cannot be told apart trains fastest, by the seconds of its recorded runs; 5 % more is not told apart."""
    near = answer.panel[answer.panel["near"]].sort_values("seconds")
    first, own = near.iloc[0], near[near["recommended"]].iloc[0]
    ratio = own["seconds"] / max(first["seconds"], 1e-3)
    if ratio < 1.05:
        return "Of those that cannot be told apart, none is cheaper to train than the recommended one."
    return (
        f"Of those that cannot be told apart, {escape(first['candidate'])} is the cheapest to train; the recommended one takes "
        f"{about(ratio)} times as long."
    )


def conclude(answer: Answer) -> str:
    """The answer once more, in one breath: what to use, how sure, and what it is not told from."""
    others = answer.panel[~answer.panel["recommended"]]
    higher, near = int((others["verdict"] == "higher").sum()), int(others["near"].sum())
    told = f"{near} of {len(others)} others cannot be told from it" if near else "no other comes near it"
    if higher:
        verb = "is" if higher == 1 else "are"
        told = f"{higher} of {len(others)} others {verb} higher on the test images, and {near} cannot be told from it"
    return (
        f"Use **{escape(name_of(answer.best))}**. Chosen so, the balanced accuracy is {comparisons.say_share(answer.level)}, "
        f"{comparisons.say_points(answer.gain.interval)} against plain training ({answer.gain.verdict}); {told}."
    )


def choices(answer: Answer) -> pd.DataFrame:
    """What each run chose on its own validation images: `run`, `candidate`, `validation`, and on its test images `test`."""
    rows = [
        {
            "run": record.spec.seed,
            "candidate": name_of(Candidate(record.spec.model.name, record.spec.remedy.name)),
            "validation": record.validation[SCORE],
            "test": record.scores[SCORE],
        }
        for record in answer.chosen
    ]
    return pd.DataFrame(rows)


def say_data(plan: Plan) -> str:
    """How many images of how many classes, how uneven, and how they are split, in two or three sentences."""
    dataset = datasets.load(plan.study.dataset)
    found = splits.describe(dataset.labels, dataset.classes)
    smallest = int(found.counts.min())
    said = (
        f"{len(dataset.labels):,} images of {len(dataset.classes)} classes; the largest class has {found.counts.max():,}, the "
        f"smallest, {escape(found.smallest)}, {smallest:,}: a ratio of {found.ratio:.1f}, a Gini coefficient of {found.gini:.2f}."
    )
    if (profile := plan.study.profiles[0]).name != "natural":
        size = data.profile_size(plan.study.dataset, profile)
        said += f" The training set is drawn from them by the profile {profile.label}: {size:,} images."
    if dataset.groups is not None:
        said += f" They stand in {len(np.unique(dataset.groups)):,} groups, and no group is on two sides of a split."
    unwritten = [(one, name) for one, name in zip(figures.drawable(dataset.classes), dataset.classes, strict=True) if one != name]
    if unwritten:
        listed = ", ".join(f"{one} is {escape(name)}" for one, name in unwritten)
        said += f" No font here can draw some of the names, so in figures {listed}."
    if splits.is_redrawn(dataset):
        share = f"{splits.TEST_SHARE:.0%} to test and {splits.VALIDATION_SHARE:.0%} to validate"
        return f"{said} There is no official test set: each of {plan.effort.runs} runs draws another {share}, class by class."
    return f"{said} All runs share one test set."


def counts(plan: Plan) -> dict[str, Int64[np.ndarray, " class"]]:
    """All images of each class, in label order."""
    dataset = datasets.load(plan.study.dataset)
    return {"all images": splits.count(dataset.labels, len(dataset.classes))}


def tried(answer: Answer) -> pd.DataFrame:
    """One row a rung: images seen, candidates of each run, and how many of each family those are, means over the runs."""
    frame = answer.selection.trials
    if frame.empty:
        return pd.DataFrame(columns=["rung", "images seen", "candidates"])
    frame = frame.assign(family=[models.entry(name).facts["family"] for name in frame["model"]], rung=frame["rung"] + 1)
    counted = frame.groupby(["rung", "images_seen", "family"], sort=False).size().unstack(fill_value=0) / answer.plan.effort.runs
    counted.insert(0, "candidates", counted.sum(axis=1).round().astype(int))
    families = counted.columns[1:]
    counted[families] = counted[families].map(lambda mean: f"{mean:.3g}")
    return counted.rename_axis(columns=None).reset_index().rename(columns={"images_seen": "images seen"})


def caption(answer: Answer) -> str:
    """What the intervals of the panel stand for."""
    redrawn = "splits" if answer.level.redrawn else "training subset, class order, initialization and batch order, and test images"
    corrected = "; they hold for another set of images (Nadeau & Bengio 2003)" if answer.level.redrawn else ""
    return (
        f"95 % intervals, {comparisons.say_n(answer.level)}; redrawn: {redrawn}{corrected}. Bold: not distinguishable from the "
        f"recommended one, as one of {max(1, len(answer.panel) - 1)} comparisons declared together."
    )


def say_cost(answer: Answer) -> str:
    """What all the trainings behind the answer took, and what the model takes to use."""
    trained = [record for record in answer.selection.records if not is_derived(record.spec)]
    finals = sum(record.cost["seconds"] for record in trained)
    number = len(answer.selection.trials)
    return (
        f"Behind the answer stand {number:,} trials and {len(trained)} trainings with the whole budget, which took "
        f"{runner.say_duration(finals).removeprefix('about ')} of one core."
    )


def pretrained_note(plan: Plan) -> str:
    """Which pretrained networks were among the candidates, and why they or others that were thought of were not."""
    known = [name for name in models.names() if starting_weights(name)]
    sentences = [_say_pretrained(plan, name) for name in known]
    if not set(known) & set(plan.study.crossed):
        sentences.append("All networks started from random weights.")
    others = [(name, why) for name, why in plan.study.left_out.items() if name not in known]
    return " ".join([*sentences, *(f"{escape(name)} was not tried: {escape(why)}." for name, why in others)])


def _say_pretrained(plan: Plan, name: str) -> str:
    if name in plan.study.crossed:
        return f"Among the candidates is {name}, pretrained on ImageNet (Deng et al. 2009; He et al. 2016) and fine-tuned."
    reason = plan.study.left_out.get(name, "the study does not name it among its candidates")
    return f"A pretrained network, {name}, was not tried: {escape(reason)}."
