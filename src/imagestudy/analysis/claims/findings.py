"""Decide the claims of the article: compute a finding for each claim from the recorded runs, by one verdict rule.

The number that decides a claim is fixed beforehand. Every choice, such as the best network, is made on the validation set,
separately in each run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from imagestudy import data, stats
from imagestudy.analysis import comparisons
from imagestudy.analysis.comparisons import Effect
from imagestudy.core.specs import ProfileSpec, RunSpec
from imagestudy.experiments import grids
from imagestudy.experiments.grids import DECIDING, TRADITIONAL, Plan
from imagestudy.experiments.records import Records
from imagestudy.models import complexity, models
from imagestudy.models.families import family_title
from imagestudy.stats import Judged

Verdict = Literal["supported", "contradicted", "equivalent", "undecided"]

ONE_MARK = 2 / 3
"""The accuracy of the best rule that uses only one mark of the probe and its position (see `data.datasets`).

A model with a higher accuracy must have combined both marks.
"""

CLASSICAL = ("logistic", "knn", "svm", "hog_svm")
STEP_TITLES = {"filter": "Filtering", "denoise": "Denoising", "augment": "Augmentation"}
BORROWED = {"Conv2d": "convolution", "RNN": "recurrence", "LSTM": "recurrence", "GRU": "recurrence", "Attention": "attention"}


@dataclass(frozen=True)
class Finding:
    """A claim of the article with its verdict.

    Args:
        claim: the number of the claim, such as "A3". A part of a claim adds words, as in "A11 filter, clean".
        says: the claim, in a few words.
        verdict: supported, contradicted, equivalent or undecided.
        effect: what was measured, in words.
        judged: name and result of each comparison that the verdict rests on; empty if the architecture alone decides.
        aside: a sentence with additional information that does not affect the verdict.
    """

    claim: str
    says: str
    verdict: Verdict
    effect: str
    judged: tuple[tuple[str, Judged], ...] = ()
    aside: str = ""


def as_verdict(decision: stats.Verdict) -> Verdict:
    """Return the verdict on the claim "A is higher than B"."""
    return {"higher": "supported", "lower": "contradicted", "equivalent": "equivalent", "undecided": "undecided"}[decision]  # type: ignore[return-value]


def _one(claim: str, says: str, effect: str, judged: Judged, *, aside: str = "") -> Finding:
    return Finding(claim, says, as_verdict(judged.verdict), effect, ((effect, judged),), aside)


def learned_features(plan: Plan, records: Records) -> list[Finding]:
    """Decide A1: compare the best network with the best classical model. Both are chosen on validation, separately in each run.

    The list is empty if the study has no network or no classical model.
    """
    deep = [name for name in plan.study.models if _is_deep(name)]
    classical = [name for name in plan.study.models if name in CLASSICAL]
    if not deep or not classical:
        return []
    ours, theirs = (
        comparisons.choose_by_validation([records.of(grids.cell(plan, name)) for name in side], score="accuracy")
        for side in (deep, classical)
    )
    judged = comparisons.judge(comparisons.difference(ours, theirs, score="accuracy"), margin=plan.study.margin, comparisons=1)
    aside = f"Chosen on validation: networks {_chosen(ours)}; classical models {_chosen(theirs)}."
    return [
        _one("A1", "Learned features beat fixed features", "best network − best classical model, accuracy", judged, aside=aside)
    ]


def _is_deep(name: str) -> bool:
    facts = models.entry(name).facts
    return facts["kind"] == "neural" and facts["era"] == "modern"


def _chosen(records: Records) -> str:
    names = [record.spec.model.name for record in records]
    return ", ".join(f"{name} {names.count(name)}×" for name in dict.fromkeys(sorted(names, key=names.count, reverse=True)))


def cnn_leads(plan: Plan, records: Records) -> list[Finding]:
    """Decide A2: compare the deciding CNN with the deciding member of each other family.

    The claim is supported if the CNN is higher than all of them, and contradicted if it is lower than any of them.
    """
    others = [name for family, name in DECIDING.items() if family != "cnn"]
    cnn = records.of(grids.cell(plan, DECIDING["cnn"]))
    judged = [
        (
            f"{DECIDING['cnn']} − {name}",
            comparisons.judge(
                comparisons.difference(cnn, records.of(grids.cell(plan, name)), score="accuracy"),
                margin=plan.study.margin,
                comparisons=len(others),
            ),
        )
        for name in others
    ]
    return [
        Finding(
            "A2", "CNNs lead", _all_higher([j.verdict for _, j in judged]), "resnet − each other family, accuracy", tuple(judged)
        )
    ]


def _all_higher(decisions: Sequence[stats.Verdict]) -> Verdict:
    if "lower" in decisions:
        return "contradicted"
    if "undecided" in decisions:
        return "undecided"
    return "equivalent" if "equivalent" in decisions else "supported"


def modern_is_more_accurate(plan: Plan, records: Records) -> list[Finding]:
    """Decide A3, A4 and A5: compare modern with traditional accuracy in each family, on balanced training data."""
    findings = []
    for number, family in (("A3", "cnn"), ("A4", "rnn"), ("A5", "ann")):
        modern, traditional = (records.of(grids.cell(plan, side[family])) for side in (DECIDING, TRADITIONAL))
        effect = comparisons.difference(modern, traditional, score="accuracy")
        judged = comparisons.judge(effect, margin=plan.study.margin, comparisons=3)
        says = f"A modern {family_title(family)} is more accurate than the traditional one"
        findings.append(_one(number, says, f"{DECIDING[family]} − {TRADITIONAL[family]}, accuracy", judged))
    return findings


def modern_loses_less(plan: Plan, records: Records) -> list[Finding]:
    """Decide A6, A7 and A8: compare the loss to imbalance of the traditional member with that of the modern member of each family.

    The loss is the balanced accuracy on a balanced training set with the same number of images, minus the balanced accuracy on the
    imbalanced set. It is a mean over the profiles, in plain training.
    """
    findings: list[Finding] = []
    if not grids.imbalanced_profiles(plan):
        return findings
    for number, family in (("A6", "cnn"), ("A7", "rnn"), ("A8", "ann")):
        profiles = grids.imbalanced_profiles(plan)
        cells = _same_seeds({side: _lost_pairs(plan, records, name, profiles) for side, name in _members(family).items()})
        judged = comparisons.judge(
            _difference_of_losses(cells["traditional"], cells["modern"]), margin=plan.study.margin, comparisons=3
        )
        says = f"A modern {family_title(family)} handles class imbalance better"
        effect = f"loss of {TRADITIONAL[family]} − loss of {DECIDING[family]}, balanced accuracy"
        findings.append(_one(number, says, effect, judged, aside=_say_log_odds(cells["traditional"], cells["modern"])))
    return findings


Pairs = Sequence[tuple[Records, ...]]


def _difference_of_losses(traditional: Pairs, modern: Pairs) -> Effect:
    """Return the loss (balanced − imbalanced, mean over profiles) of the traditional member minus the loss of the modern member."""
    losses = [[balanced.correct() - imbalanced.correct() for balanced, imbalanced in side] for side in (traditional, modern)]
    labels = traditional[0][0].test_labels()
    return Effect(np.mean(losses[0], axis=0) - np.mean(losses[1], axis=0), comparisons.weights_of(labels), labels)


def _same_seeds(sides: dict[str, list[tuple[Records, ...]]]) -> dict[str, list[tuple[Records, ...]]]:
    """Restrict all cells to their common seeds, in order. If a run failed in one cell, its seed is left out of all cells."""
    cells = [cell for pairs in sides.values() for pair in pairs for cell in pair]
    shared = sorted(set.intersection(*({record.spec.seed for record in cell} for cell in cells)))

    def kept(cell: Records) -> Records:
        by_seed = {record.spec.seed: record for record in cell}
        return Records(tuple(by_seed[seed] for seed in shared), cell.labels)

    return {name: [tuple(map(kept, pair)) for pair in pairs] for name, pairs in sides.items()}


def gap_grows_with_size(plan: Plan, records: Records) -> list[Finding]:
    """Decide A9: measure how much the effect of A6–A8 grows with each doubling of the training set, at one imbalance ratio.

    The effect at each size is computed as in `modern_loses_less`. Its least-squares slope against log2 of the size decides. The
    claim is supported if the effect grows.
    """
    profiles = grids.scale_profiles(plan)
    if not profiles:
        return []
    sizes = np.array([data.profile_size(plan.study.dataset, profile) for profile in profiles])
    findings = []
    for family in ("cnn", "rnn", "ann"):
        sides = _same_seeds({side: _lost_pairs(plan, records, name, profiles) for side, name in _members(family).items()})
        losses = [
            _difference_of_losses([traditional], [modern])
            for traditional, modern in zip(sides["traditional"], sides["modern"], strict=True)
        ]
        slope = slope_of(losses, np.log2(sizes))
        judged = comparisons.judge(slope, margin=plan.study.margin, comparisons=3)
        says = f"The lead of a modern {family_title(family)} under imbalance grows with the training set"
        at = "; ".join(f"{size}: {comparisons.say_points(loss.interval())}" for size, loss in zip(sizes, losses, strict=True))
        effect = "growth of that difference with each doubling of the training set"
        findings.append(
            _one(
                f"A9 {family_title(family)}",
                says,
                effect,
                judged,
                aside=f"By number of training images, with 95 % intervals: {at}.",
            )
        )
    return findings


def slope_of(effects: Sequence[Effect], x: Float[np.ndarray, " effect"]) -> Effect:
    """Return the least-squares slope of effects against x, Σ (x_k − x̄) effect_k / Σ (x_k − x̄)².

    All effects share their runs and test images.
    """
    centered = x - x.mean()
    share = centered / (centered @ centered)
    values = sum(weight * effect.values for weight, effect in zip(share, effects, strict=True))
    return Effect(np.asarray(values), effects[0].weights, effects[0].strata, unit=float(np.abs(share).max()))


def _members(family: str) -> dict[str, str]:
    return {"modern": DECIDING[family], "traditional": TRADITIONAL[family]}


def _lost_pairs(plan: Plan, records: Records, name: str, profiles: Sequence[ProfileSpec]) -> list[tuple[Records, ...]]:
    """Return for each profile the runs of a model on the balanced set with the same number of images, and on the imbalanced set."""
    return [
        tuple(records.of(grids.cell(plan, name, profile=p)) for p in (grids.as_many_balanced(plan, profile), profile))
        for profile in profiles
    ]


def _say_log_odds(traditional: Pairs, modern: Pairs) -> str:
    share = 1 / len(traditional)
    signed = [
        (sign * share, cell)
        for direction, side in ((1, traditional), (-1, modern))
        for balanced, imbalanced in side
        for sign, cell in ((direction, balanced), (-direction, imbalanced))
    ]
    interval = comparisons.log_odds_interval(signed, rng=np.random.default_rng(0))
    said = f"{interval.estimate:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]".replace("-", "−")
    return f"On the log-odds scale, where the level of the scores does not matter: {said}."


def long_range(plan: Plan, records: Records) -> list[Finding]:
    """Decide A10: compare the accuracy of the deciding RNN on the long-range probe at the largest and the smallest distance.

    The claim is supported if the accuracy at the largest distance is above `ONE_MARK` and not below the accuracy at the smallest
    distance by more than the margin. The list is empty if the study has no probe.
    """
    if plan.study.probe is None:
        return []
    near, far = (
        records.of(grids.probe_cell(plan, DECIDING["rnn"], d))
        for d in (min(plan.effort.families.distances), max(plan.effort.families.distances))
    )
    labels = far.test_labels()
    weights = comparisons.weights_of(labels)
    beyond = Effect(far.correct() - ONE_MARK, weights, labels)
    falling = Effect(far.correct() - near.correct(), weights, labels)
    judged = [comparisons.judge(effect, margin=plan.study.margin, comparisons=2) for effect in (beyond, falling)]
    names = (f"accuracy at distance {max(plan.effort.families.distances)} − ⅔", "far − near, accuracy")
    verdict = _reaches([j.verdict for j in judged])
    named = tuple(zip(names, judged, strict=True))
    return [Finding("A10", "RNNs capture long-range dependencies", verdict, "; ".join(names), named, _say_probe(plan, records))]


def _reaches(decisions: Sequence[stats.Verdict]) -> Verdict:
    above, falling = decisions
    if above in ("lower", "equivalent") or falling == "lower":
        return "contradicted"
    return "supported" if above == "higher" and falling in ("equivalent", "higher") else "undecided"


def _say_probe(plan: Plan, records: Records) -> str:
    means = {name: records.of(grids.probe_cell(plan, name, max(plan.effort.families.distances))) for name in DECIDING.values()}
    said = [f"{name} {np.mean([r.scores['accuracy'] for r in cell]):.3f}" for name, cell in means.items() if len(cell)]
    return f"Accuracy at the largest distance: {', '.join(said)}."


def preprocessing_pays(plan: Plan, records: Records) -> list[Finding]:
    """Decide A11: compare filtering, denoising and augmentation with no such step, separately on clean and on noisy images.

    The setting of each step is chosen on validation, separately in each run.
    """
    settings = grids.preprocessing_settings(plan)
    findings = []
    for kind in ("filter", "denoise", "augment"):
        for state, noise in (("clean", None), ("noisy", grids.NOISE)):
            on, off = (
                [
                    records.of(grids.cell(plan, DECIDING["cnn"], preprocessing=s.model_copy(update={"noise": noise})))
                    for s in settings[k]
                ]
                for k in (kind, "off")
            )
            chosen = comparisons.choose_by_validation(on, score="accuracy")
            judged = comparisons.judge(
                comparisons.difference(chosen, off[0], score="accuracy"), margin=plan.study.margin, comparisons=6
            )
            says = f"{STEP_TITLES[kind]} is worth doing before training, {state} images"
            findings.append(_one(f"A11 {kind}, {state}", says, f"{kind} on − off, accuracy", judged))
    return findings


def listings(plan: Plan, records: Records) -> list[Finding]:
    """Decide A13 by architecture alone: does the article's listing contain a convolution, a recurrence or attention?"""
    shape, classes = data.image_shape(plan.study.dataset), data.class_count(plan.study.dataset)
    layers = complexity.layers(grids.model_spec(plan, grids.LISTING), shape=shape, classes=classes)
    found = sorted({BORROWED[layer.kind] for layer in layers if layer.kind in BORROWED})
    verdict: Verdict = "supported" if found else "contradicted"
    effect = f"the layers are {', '.join(dict.fromkeys(layer.kind for layer in layers if layer.kind != 'OnlyPosition'))}"
    cells = {name: records.of(grids.cell(plan, name)) for name in (grids.LISTING, *DECIDING.values())}
    said = [
        f"{name} {comparisons.say_share(comparisons.level_of(cell, score='accuracy').interval(limits=(0.0, 1.0)))}"
        for name, cell in cells.items()
        if len(cell)
    ]
    return [
        Finding("A13", "The listings are a CNN and an RNN or Transformer", verdict, effect, (), f"Accuracy: {'; '.join(said)}.")
    ]


CLAIMS: dict[str, Callable[[Plan, Records], list[Finding]]] = {
    "A1": learned_features,
    "A2": cnn_leads,
    "A3–A5": modern_is_more_accurate,
    "A6–A8": modern_loses_less,
    "A9": gap_grows_with_size,
    "A10": long_range,
    "A11": preprocessing_pays,
    "A13": listings,
}


def decide(plan: Plan, records: Records) -> list[Finding]:
    """Return all findings of a study, in the order of the claims."""
    return [finding for claim in CLAIMS.values() for finding in claim(plan, records)]


def needs(plan: Plan) -> list[RunSpec]:
    """List the runs that the claims need."""
    return [
        *grids.accuracy(plan, models_=grids.members(plan)),
        *grids.loss_to_imbalance(plan),
        *grids.at_scale(plan),
        *grids.preprocessing(plan),
        *grids.probe(plan),
    ]


def table(findings: Sequence[Finding]) -> pd.DataFrame:
    """Tabulate one row per finding: claim, verdict, effect, interval in points, sample size, and what would decide it."""
    return pd.DataFrame([_row(finding) for finding in findings])


def _said(name: str, judged: Judged, *, alone: bool) -> str:
    return comparisons.say_points(judged.interval) if alone else f"{name}: {comparisons.say_points(judged.interval)}"


def _row(finding: Finding) -> dict[str, object]:
    needed = [comparisons.say_needed(j.needed) for _, j in finding.judged if j.verdict == "undecided"]
    return {
        "claim": finding.claim,
        "says": finding.says,
        "verdict": finding.verdict,
        "effect": finding.effect,
        "points": "; ".join(_said(name, judged, alone=len(finding.judged) == 1) for name, judged in finding.judged),
        "n": comparisons.say_n(finding.judged[0][1].interval) if finding.judged else "architecture alone",
        "would decide it": "; ".join(part for part in needed if part) if finding.verdict == "undecided" else "",
        "aside": finding.aside,
    }
