"""Put the recommendation into sentences and small tables: the data, what was tried, what to use, and its cost."""

import numpy as np
import pandas as pd
from jaxtyping import Int64

from imagestudy import data, figures
from imagestudy.analysis import comparisons
from imagestudy.analysis.recommendation.answer import Answer, name_of
from imagestudy.core.text import escape, say_times
from imagestudy.data import datasets, splits
from imagestudy.experiments import runner
from imagestudy.experiments.dependencies import is_derived
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.search import PLAIN, SCORE, Candidate
from imagestudy.models import models
from imagestudy.models.pretrained import starting_weights
from imagestudy.remedies import remedies

SAME_SHARES = 0.01
"""If the two accuracies of a candidate differ by less, the test images have the class shares of the training images."""


NONE_ENOUGH = "**None of the candidates is good enough.**"


def say_answer(answer: Answer) -> str:
    """Return the recommendation and its comparison with plain training, with intervals, as one paragraph of Markdown."""
    best, level, plain = answer.best, answer.level, comparisons.level_of(answer.plain).interval(limits=(0.0, 1.0))
    chose = sum(Candidate(r.spec.model.name, r.spec.remedy.name) == best for r in answer.chosen)
    remedy = (
        "with plain training"
        if best.remedy == PLAIN
        else f"with the remedy **{escape(remedies.entry(best.remedy).facts['title'])}**"
    )
    head = f"Use model **{best.model}** {remedy}."
    if answer.shortcomings:
        head = f"{NONE_ENOUGH} The best of them on validation is model **{best.model}** {remedy}."
        head = f"{head} But {'; '.join(answer.shortcomings)}. {_say_helps(answer)}"
    return (
        f"{head} Repeating the whole selection in every run gives a balanced accuracy of "
        f"**{comparisons.say_share(level)}** on test images that never influenced the choice, against "
        f"{comparisons.say_share(plain)} for plain training of the same model: {comparisons.say_points(answer.gain.interval)}, "
        f"{answer.gain.verdict}; {comparisons.say_n(level)}. {chose} of {_count(len(answer.chosen), 'run')} chose this candidate."
        f"{say_price(answer)}"
    )


def _say_helps(answer: Answer) -> str:
    """Return a sentence: what may give a better answer."""
    helps = ["more images of the rarest classes", "a larger `side`"]
    if not any(starting_weights(name) for name in answer.plan.study.crossed):
        helps.append("a pretrained network")
    return f"What may help: {', '.join(helps)}, and `group` if several images show the same object."


def say_price(answer: Answer) -> str:
    """Return sentences with the accuracy of the recommended candidate and of plain training; empty without a remedy.

    The accuracy is given at the class shares of the training images. Where the test images have other shares, it is also given
    on them, because the sign of the difference can be the opposite.
    """
    rows = answer.panel.set_index("candidate")
    if answer.best.remedy == PLAIN or answer.best.model not in rows.index:
        return ""
    with_it, without = rows.loc[name_of(answer.best)], rows.loc[answer.best.model]
    there = [f"{row['at_training_shares']:.1%}" for row in (with_it, without)]
    here = [f"{row['accuracy']:.1%}" for row in (with_it, without)]
    said = (
        f" Where the classes have the shares that they have in the training images, its accuracy is {there[0]}, against {there[1]} "
        "for plain training of the same model."
    )
    if np.abs(with_it["accuracy"] - with_it["at_training_shares"]) < SAME_SHARES:
        return said
    return f"{said} On the test images, whose classes have other shares, it is {here[0]}, against {here[1]}."


def say_near(answer: Answer) -> str:
    """Return sentences: which candidates are higher than the recommended one, and which are indistinguishable from it."""
    best, others = escape(name_of(answer.best)), answer.panel[~answer.panel["recommended"]]
    higher, near = others[others["verdict"] == "higher"], others[others["near"]]
    said = []
    if len(higher):
        said.append(f"Higher than {best} on the test images, but not on validation, which decides: {_names(higher)}.")
    if len(near):
        said.append(f"Statistically indistinguishable from {best}: {_names(near)}.")
    return " ".join(said) or f"All other candidates that were trained with the whole budget are lower than {best}."


def _names(rows: pd.DataFrame) -> str:
    return escape("; ".join(rows["candidate"]))


def say_cheapest(priced: pd.DataFrame) -> str:
    """Return a sentence: which of the indistinguishable candidates has the model that trains fastest, measured alone.

    Times that differ by less than 5 % count as equal.

    Args:
        priced: the panel with the costs that were measured alone, see `costs.with_costs`.
    """
    near = priced[priced["near"]].sort_values("seconds", kind="stable")
    if not near["recommended"].any():
        return "The cost of the recommended model was not measured."
    first, own = near.iloc[0], near[near["recommended"]].iloc[0]
    ratio = own["seconds"] / max(first["seconds"], 1e-3)
    if ratio < 1.05:
        return "None of the statistically indistinguishable candidates is cheaper to train than the recommended one."
    return (
        f"Of the statistically indistinguishable candidates, {escape(first['candidate'])} is the cheapest to train; the "
        f"recommended one takes {say_times(ratio)}."
    )


def conclude(answer: Answer) -> str:
    """Return the answer in short: what to use, its score with interval, and the number of candidates that match it."""
    others = answer.panel[~answer.panel["recommended"]]
    higher, near = int((others["verdict"] == "higher").sum()), int(others["near"].sum())
    number, alike = (
        _count(len(others), "other candidate"),
        f"{'is' if near == 1 else 'are'} statistically indistinguishable from it",
    )
    told = f"{near} of {number} {alike}" if near else "No other candidate matches it"
    if higher:
        told = f"{higher} of {number} {'is' if higher == 1 else 'are'} higher on the test images, and {near} {alike}"
    best = escape(name_of(answer.best))
    head = f"{NONE_ENOUGH} The best of them on validation is {best}." if answer.shortcomings else f"Use **{best}**."
    return (
        f"{head} Choosing in this way gives a balanced accuracy of "
        f"{comparisons.say_share(answer.level)}, {comparisons.say_points(answer.gain.interval)} against plain training "
        f"({answer.gain.verdict}). {told}."
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def choices(answer: Answer) -> pd.DataFrame:
    """Return the choice of each run: `run`, `candidate`, and its scores on the `validation` and the `test` images of the run."""
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
    """Return sentences on the data: number of images and classes, how imbalanced they are, and how they are split."""
    dataset = datasets.load(plan.study.dataset)
    found = splits.describe(dataset.labels, dataset.classes)
    smallest = int(found.counts.min())
    said = (
        f"There are {len(dataset.labels):,} images of {len(dataset.classes)} classes. The largest class has "
        f"{_count(int(found.counts.max()), 'image')}. The smallest, {escape(found.smallest)}, has {smallest:,}. The ratio is "
        f"{found.ratio:.1f}, and the Gini coefficient is {found.gini:.2f}."
    )
    if (profile := plan.study.profiles[0]).name != "natural":
        size = data.profile_size(plan.study.dataset, profile)
        said += f" The training set follows the profile {profile.label} and has {_count(size, 'image')}."
    if dataset.groups is not None:
        said += f" The images form {len(np.unique(dataset.groups)):,} groups, "
        said += "and all images of a group are in the same part of a split."
    unwritten = [(one, name) for one, name in zip(figures.drawable(dataset.classes), dataset.classes, strict=True) if one != name]
    if unwritten:
        listed = ", ".join(f"{one} is {escape(name)}" for one, name in unwritten)
        said += f" The installed fonts cannot draw some of the names. In figures, {listed}."
    if splits.is_redrawn(dataset):
        share = f"{splits.TEST_SHARE:.0%} of each class for testing and {splits.VALIDATION_SHARE:.0%} for validation"
        runs = "The 1 run draws" if plan.effort.runs == 1 else f"Each of the {plan.effort.runs} runs draws its own"
        return f"{said} There is no official test set. {runs} {share}."
    return f"{said} All runs use the same test set."


def counts(plan: Plan) -> dict[str, Int64[np.ndarray, " class"]]:
    """Return the number of images of each class, in label order."""
    dataset = datasets.load(plan.study.dataset)
    return {"all images": splits.count(dataset.labels, len(dataset.classes))}


def tried(answer: Answer) -> pd.DataFrame:
    """Return one row per rung: images seen, and the number of candidates, in total and of each family, averaged over the runs."""
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
    """Return the caption of the panel: what its intervals cover, and what bold means."""
    covered = "a new training subset, class order, initialization, batch order and test set"
    if answer.level.redrawn:
        covered = "new splits and a new set of images (Nadeau & Bengio 2003)"
    return (
        f"95 % intervals, {comparisons.say_n(answer.level)}. They cover {covered}. Bold: statistically indistinguishable from the "
        f"recommended candidate, corrected for {_count(max(1, len(answer.panel) - 1), 'comparison')}."
    )


def say_cost(answer: Answer) -> str:
    """Return a sentence: how many trials and trainings the answer took, and for how long one core was busy with the trainings."""
    trained = [record for record in answer.selection.records if not is_derived(record.spec)]
    finals = sum(record.cost["seconds"] for record in trained)
    number = len(answer.selection.trials)
    return (
        f"The answer took {_count(number, 'trial')} and {_count(len(trained), 'training')} with the whole budget. These trainings "
        f"took {runner.say_duration(finals).removeprefix('about ')} on one core."
    )


def pretrained_note(plan: Plan) -> str:
    """Return sentences: which pretrained networks are candidates, and why other models were not tried."""
    known = [name for name in models.names() if starting_weights(name)]
    sentences = [_say_pretrained(plan, name) for name in known]
    if not set(known) & set(plan.study.crossed):
        sentences.append("All networks started from random weights.")
    others = [(name, why) for name, why in plan.study.left_out.items() if name not in known]
    return " ".join([*sentences, *(f"{escape(name)} was not tried: {escape(why)}." for name, why in others)])


def _say_pretrained(plan: Plan, name: str) -> str:
    if name in plan.study.crossed:
        return f"The candidate {name} is pretrained on ImageNet (Deng et al. 2009; He et al. 2016) and fine-tuned."
    reason = plan.study.left_out.get(name, "the study does not list it as a candidate")
    return f"The pretrained network {name} was not tried: {escape(reason)}."
