"""Compare the remedies in each place of use, with predictions as they come and re-priored, in tables and sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64

from imagestudy.analysis import comparisons as compare
from imagestudy.analysis.comparisons import Effect
from imagestudy.analysis.imbalance.gains import declared_remedies
from imagestudy.analysis.imbalance.prior_shift import Deployment, decide, pick_tau, reprior
from imagestudy.analysis.imbalance.selection import (
    PLAIN,
    Shown,
    compares_remedies,
    model_of,
    profiles_of,
    remedies_of,
    say_remedy,
    title_of,
)
from imagestudy.core import text
from imagestudy.core.specs import RunSpec
from imagestudy.experiments import grids, runner
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Record, labels_key
from imagestudy.metrics import classification
from imagestudy.remedies import remedies
from imagestudy.stats import Judged

FEW = 4
"""A sentence lists at most this many names; for more, it gives only their number."""


def deployment_needs(plan: Plan, model: str = "") -> list[RunSpec]:
    """Return the runs of every remedy on one crossed model under the first profile, and the runs from which they are computed.

    Args:
        plan: the study at its effort.
        model: a crossed model; the first of the study by default.

    A study that compares no remedies needs none.
    """
    if not model and not compares_remedies(plan):
        return []
    model = model_of(plan, model)
    profile = profiles_of(plan, ratios=[])[0]
    cells = [
        grids.cell(plan, model, profile=profile, remedy=grids.remedy_of(plan, name)) for name in remedies_of(plan, model, rank=0)
    ]
    return runner.with_parents([spec for cell in cells for spec in cell])


@dataclass(frozen=True)
class Used:
    """One run in one place of use.

    Its score is the share of the highest possible misclassification cost that is saved. With misclassification costs of 0 and 1,
    this is the accuracy.

    Args:
        tau: the strength τ that was chosen on validation; NaN for predictions as they come.
        validation: the score on validation.
        values: the value of each test image, such that Σ value / (K n_y) is the score on the test images.
        unit: the largest possible change of a value by one decision.
    """

    tau: float
    validation: float
    values: Float[np.ndarray, " image"]
    unit: float


def use(record: Record, labels: dict[str, Int64[np.ndarray, " image"]], deployment: Deployment, *, repriored: bool) -> Used:
    """Score one run in one place of use, with predictions as they come or re-priored.

    As they come, each prediction is the most likely class. Re-priored, it is the decision with the least expected misclassification
    cost.

    Args:
        record: a run with the log-probabilities of validation and test images.
        labels: labels of the `validation` and the `test` images.
        deployment: the place of use, by rank.
        repriored: whether to choose τ on validation and to use the prior and the misclassification costs of the place.
    """
    counts = np.array(record.facts["counts"], dtype=np.int64)
    place = deployment.by_class(counts)
    held_out, test = record.arrays["validation"], record.arrays["test"]
    if repriored:
        tau, validation = pick_tau(held_out, labels["validation"], counts, place)
        decided = decide(reprior(test, counts, place.prior, tau=tau), place.saving)
    else:
        seen = place.saving[labels["validation"], held_out.argmax(axis=1)]
        tau, validation = np.nan, float(classification.weights_at_shares(labels["validation"], place.prior) @ seen)
        decided = test.argmax(axis=1)
    share = len(counts) * place.prior / place.dearest
    values = place.saving[labels["test"], decided] * share[labels["test"]]
    return Used(tau, validation / place.dearest, values, float((share * place.cost.max(axis=1)).max()))


@dataclass(frozen=True)
class Deployed:
    """All remedies of one model in all places of use.

    Args:
        deployments: the places.
        used: the run in a place, by remedy, name of the place, and seed.
        labels: labels of the test images.
        margin: the equivalence margin.
        comparisons: number of remedies that are corrected together in one place.
    """

    deployments: Sequence[Deployment]
    used: dict[str, dict[str, dict[int, Used]]]
    labels: Int64[np.ndarray, " image"]
    margin: float
    comparisons: int

    def level(self, remedy: str, place: str) -> Effect:
        """Return the score of one remedy in one place; see `Used`."""
        return self._effect([used.values for used in self.used[remedy][place].values()], remedy, place)

    def difference(self, ours: str, theirs: str, place: str, *, against: "Deployed | None" = None) -> Effect:
        """Return the paired difference of the scores of two remedies in one place.

        `against` takes the second remedy from another object, for instance with predictions as they come.
        """
        own, other = self.used[ours][place], (against or self).used[theirs][place]
        return self._effect([own[seed].values - other[seed].values for seed in sorted(own.keys() & other.keys())], ours, place)

    def _effect(self, values: Sequence[Float[np.ndarray, " image"]], remedy: str, place: str) -> Effect:
        unit = max(used.unit for used in self.used[remedy][place].values())
        return Effect(np.stack(values), compare.weights_of(self.labels), self.labels, unit=unit)

    def on_validation(self, remedy: str, place: str) -> float:
        """Return the score on validation, averaged over the runs."""
        return float(np.mean([used.validation for used in self.used[remedy][place].values()]))


def deploy(shown: Shown, model: str, deployments: Sequence[Deployment], *, repriored: bool) -> Deployed:
    """Score all runs of one model under the first profile in all places; see `use`."""
    cells = shown.cells(model)
    labels = shown.records.labels
    used = {
        name: {
            one.name: {r.spec.seed: use(r, labels[labels_key(r.spec.dataset)], one, repriored=repriored) for r in cell}
            for one in deployments
        }
        for name, cell in cells.items()
    }
    test = cells[PLAIN].test_labels()
    return Deployed(deployments, used, test, shown.plan.study.margin, declared_remedies(shown, rank=0))


def deployed_gains(deployed: Deployed) -> pd.DataFrame:
    """Compare each remedy in each place with plain training, both as they come or both re-priored.

    The remedies in one place are corrected together for multiple comparisons.

    Returns:
        One row per remedy and place: `remedy`, `place`, and the columns of `comparisons.as_row`.
    """
    return pd.DataFrame(
        [
            {"remedy": title_of(name), "place": place.name} | compare.as_row(_judge(deployed, name, PLAIN, place.name))
            for place in deployed.deployments
            for name in deployed.used
            if name != PLAIN
        ]
    )


def _judge(deployed: Deployed, ours: str, theirs: str, place: str, *, comparisons: int | None = None) -> Judged:
    effect = deployed.difference(ours, theirs, place)
    return compare.judge(effect, margin=deployed.margin, comparisons=comparisons or deployed.comparisons)


def repriored_plain(before: Deployed, after: Deployed) -> pd.DataFrame:
    """Return the gain of plain training from re-prioring alone, one row per place; the places are corrected together."""
    rows = []
    for place in after.deployments:
        effect = after.difference(PLAIN, PLAIN, place.name, against=before)
        judged = compare.judge(effect, margin=after.margin, comparisons=len(after.deployments))
        taus = [used.tau for used in after.used[PLAIN][place.name].values()]
        rows.append({"place": place.name, "tau": float(np.median(taus))} | compare.as_row(judged))
    return pd.DataFrame(rows)


def say_repriored(frame: pd.DataFrame) -> str:
    """Return a sentence with the gain of plain training from re-prioring in each place; see `repriored_plain`."""
    said = [f"{text.fold_points(row)} in *{row['place']}* ({row['verdict']})" for _, row in frame.iterrows()]
    return f"Gain of {say_remedy(PLAIN)} from re-prioring alone, in points: {'; '.join(said)}."


def chosen_taus(deployed: Deployed, place: str) -> pd.DataFrame:
    """Return the smallest, median and largest τ over the runs that validation chose in one place, one row per remedy."""
    rows = []
    for name, places in deployed.used.items():
        taus = [used.tau for used in places[place].values()]
        low, median, high = np.quantile(taus, (0, 0.5, 1))
        rows.append({"remedy": title_of(name), "median": median, "smallest": low, "largest": high, "runs": len(taus)})
    return pd.DataFrame(rows).sort_values("median", ascending=False, kind="stable", ignore_index=True)


def say_taus(frame: pd.DataFrame) -> str:
    """Return two sentences: the median τ of plain training, and the number of remedies with τ near 1 or below 0."""
    medians = frame.set_index("remedy")["median"]
    others = medians.drop(title_of(PLAIN))
    nearer, overshot = int((others > 0.5).sum()), int((others < 0).sum())
    return (
        f"The median τ of {say_remedy(PLAIN)} is {medians[title_of(PLAIN)]:.2f}. For the other remedies, it is closer to 1 than "
        f"to 0, or above 1, in {nearer} of {len(others)} cases, and below 0 in {overshot}."
    )


def closest_remedy(deployed: Deployed, given: str) -> str:
    """Return the remedy to inspect; an empty name means the best remedy on validation in the first place of use.

    Plain training does not count. Remedies that are computed from plain training count only if there is no other remedy.
    """
    others = [name for name in deployed.used if name != PLAIN]
    trained = [name for name in others if not remedies.entry(name).facts.get("derived_from")]
    return given or max(trained or others, key=lambda name: deployed.on_validation(name, deployed.deployments[0].name))


@dataclass(frozen=True)
class Winner:
    """The remedy to use in one place.

    Args:
        place: name of the place.
        remedy: the remedy with the highest mean score on validation; it may be plain training (`none`).
        judged: its gain over plain training on the test images; None for plain training.
        verdicts: the verdict of every other remedy against this one on the test images.
    """

    place: str
    remedy: str
    judged: Judged | None
    verdicts: dict[str, str]


def winners(deployed: Deployed) -> list[Winner]:
    """Return the remedy to use in each place. It is chosen on validation and judged on the test images."""
    return [_winner(deployed, place.name) for place in deployed.deployments]


def _winner(deployed: Deployed, place: str) -> Winner:
    chosen = max(deployed.used, key=lambda name: deployed.on_validation(name, place))
    others = [name for name in deployed.used if name != chosen]
    verdicts = {name: _judge(deployed, name, chosen, place, comparisons=len(others)).verdict for name in others}
    return Winner(place, chosen, None if chosen == PLAIN else _judge(deployed, chosen, PLAIN, place), dict(verdicts))


def standings(found: Sequence[Winner]) -> pd.DataFrame:
    """Return the standing of each remedy in each place: `chosen`, or `higher`, `alike` or `lower` in comparison."""
    rows = []
    for one in found:
        for name in (one.remedy, *one.verdicts):
            verdict = one.verdicts.get(name, "chosen")
            said = "alike" if verdict in ("equivalent", "undecided") else verdict
            rows.append({"remedy": title_of(name), "place": one.place, "standing": said})
    return pd.DataFrame(rows)


def say_winners(found: Sequence[Winner]) -> str:
    """Return one bullet per place: the chosen remedy, its gain over plain training, and the remedies that match it."""
    return "\n".join(f"* *{one.place}*: {_say(one)}" for one in found)


def _say(one: Winner) -> str:
    alike = [name for name, verdict in one.verdicts.items() if verdict in ("equivalent", "undecided")]
    higher = [name for name, verdict in one.verdicts.items() if verdict == "higher"]
    chosen = f"validation chooses **{_title(one.remedy)}**"
    if one.judged is not None:
        chosen += f" ({compare.say_points(one.judged.interval)} against {say_remedy(PLAIN)}, {one.judged.verdict})"
    others = f"{len(one.verdicts)} {'other' if len(one.verdicts) == 1 else 'others'}"
    said = f"{chosen}; statistically indistinguishable from it on the test images: {_names(alike)} of {others}"
    return f"{said}; higher on the test images: {_names(higher)}." if higher else f"{said}."


def _names(names: Sequence[str]) -> str:
    listed = f" ({'; '.join(map(_title, names))})" if 0 < len(names) <= FEW else ""
    return f"{len(names)}{listed}"


def _title(remedy: str) -> str:
    """Return the name of a remedy for Markdown, with stars escaped."""
    return say_remedy(remedy).replace("*", r"\*")


def left_over(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Count in each place the remedies that are higher and lower than plain training, as they come and re-priored.

    Args:
        before: the table of `deployed_gains`, with predictions as they come.
        after: the same table, re-priored.
    """
    rows = []
    for place in dict.fromkeys(after["place"]):
        row: dict[str, object] = {"place": place, "remedies": int((after["place"] == place).sum())}
        for when, frame in (("before", before), ("after", after)):
            verdicts = list(frame.loc[frame["place"] == place, "verdict"])
            higher, lower = verdicts.count("higher"), verdicts.count("lower")
            row |= {f"higher_{when}": higher, f"lower_{when}": lower, when: f"{higher} higher, {lower} lower"}
        rows.append(row)
    return pd.DataFrame(rows)


def say_left(frame: pd.DataFrame) -> str:
    """Return a sentence: how many differences from plain training remain after re-prioring, over all places."""
    before, after = (int(frame[[f"higher_{when}", f"lower_{when}"]].to_numpy().sum()) for when in ("before", "after"))
    pairs = int(frame["remedies"].sum())
    return (
        f"Of {pairs} {'pair' if pairs == 1 else 'pairs'} of a remedy and a place, {before} "
        f"{'differs' if before == 1 else 'differ'} from {say_remedy(PLAIN)} in the same place with predictions as they come, "
        f"and {after} once all are re-priored."
    )


def mean_costs(before: Deployed, after: Deployed, place: Deployment) -> pd.DataFrame:
    """Return the misclassification cost of 100 images in one place, as they come and re-priored, with 95 % intervals.

    Returns:
        One row per remedy, the lowest cost first: `remedy`, `before` and `after` as text, and `mean`, the estimate after
        re-prioring.
    """
    rows = []
    for name in after.used:
        intervals = [used.level(name, place.name).interval(limits=(0.0, 1.0)) for used in (before, after)]
        costs = [100 * place.dearest * (1 - np.array([i.estimate, i.high, i.low])) for i in intervals]
        texts = [f"{text.plain(e, digits=1)} [{text.plain(lo, digits=1)}, {text.plain(hi, digits=1)}]" for e, lo, hi in costs]
        rows.append({"remedy": title_of(name), "before": texts[0], "after": texts[1], "mean": float(costs[1][0])})
    return pd.DataFrame(rows).sort_values("mean", kind="stable", ignore_index=True)
