"""What each remedy is worth in each place of use, with the predictions as they come and re-priored: tables and sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64

from imagestudy.analysis import comparisons as compare
from imagestudy.analysis.comparisons import Effect
from imagestudy.analysis.imbalance.gains import declared_remedies
from imagestudy.analysis.imbalance.prior_shift import Deployment, decide, image_weights, pick_tau, reprior
from imagestudy.analysis.imbalance.selection import PLAIN, Shown, profiles_of, remedies_of, title_of
from imagestudy.core import text
from imagestudy.core.specs import RunSpec
from imagestudy.experiments import grids, runner
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Record, labels_key
from imagestudy.remedies import remedies
from imagestudy.stats import Judged

FEW = 4
"""So many names are listed in a sentence; of more, only the number is said."""


def grid_of_model(plan: Plan, model: str) -> list[RunSpec]:
    """The runs that are needed: every remedy on one model under the first profile, and what they are computed from."""
    profile = profiles_of(plan, ratios=[])[0]
    cells = [
        grids.cell(plan, model, profile=profile, remedy=grids.remedy_of(plan, name)) for name in remedies_of(plan, model, rank=0)
    ]
    return runner.with_parents([spec for cell in cells for spec in cell])


@dataclass(frozen=True)
class Used:
    """One run in one place of use.

    Args:
        tau: the strength that validation chose; NaN where predictions are used as they come.
        validation: share of the dearest cost that is saved on validation; with costs of 0 and 1 the accuracy.
        values: of each test image, so that Σ value / (K n_y) is that share on the test images.
        unit: how far one decision moves its value at most.
    """

    tau: float
    validation: float
    values: Float[np.ndarray, " image"]
    unit: float


def use(record: Record, labels: dict[str, Int64[np.ndarray, " image"]], deployment: Deployment, *, repriored: bool) -> Used:
    """One run in one place of use: each image is the likeliest class, or, re-priored, the decision of least expected cost.

    Args:
        record: with the log-probabilities of validation and test images.
        labels: of the `validation` and the `test` images.
        deployment: by rank.
        repriored: whether τ is chosen on validation and prior and costs are minded.
    """
    counts = np.array(record.facts["counts"], dtype=np.int64)
    place = deployment.by_class(counts)
    held_out, test = record.arrays["validation"], record.arrays["test"]
    if repriored:
        tau, validation = pick_tau(held_out, labels["validation"], counts, place)
        decided = decide(reprior(test, counts, place.prior, tau=tau), place.saving)
    else:
        seen = place.saving[labels["validation"], held_out.argmax(axis=1)]
        tau, validation = np.nan, float(image_weights(labels["validation"], place.prior) @ seen)
        decided = test.argmax(axis=1)
    share = len(counts) * place.prior / place.dearest
    values = place.saving[labels["test"], decided] * share[labels["test"]]
    return Used(tau, validation / place.dearest, values, float((share * place.cost.max(axis=1)).max()))


@dataclass(frozen=True)
class Deployed:
    """Every remedy of one model in every place of use.

    Args:
        deployments: the places.
        used: remedy → name of the place → seed → the run there.
        labels: of the test images.
        margin: of equivalence.
        comparisons: how many remedies are declared together in one place.
    """

    deployments: Sequence[Deployment]
    used: dict[str, dict[str, dict[int, Used]]]
    labels: Int64[np.ndarray, " image"]
    margin: float
    comparisons: int

    def level(self, remedy: str, place: str) -> Effect:
        """The score of one remedy: the share of the dearest cost that is saved, with costs of 0 and 1 the accuracy."""
        return self._effect([used.values for used in self.used[remedy][place].values()], remedy, place)

    def difference(self, ours: str, theirs: str, place: str, *, against: "Deployed | None" = None) -> Effect:
        """The score of one remedy minus that of another, which may be used otherwise, paired over runs and test images."""
        own, other = self.used[ours][place], (against or self).used[theirs][place]
        return self._effect([own[seed].values - other[seed].values for seed in sorted(own.keys() & other.keys())], ours, place)

    def _effect(self, values: Sequence[Float[np.ndarray, " image"]], remedy: str, place: str) -> Effect:
        unit = max(used.unit for used in self.used[remedy][place].values())
        return Effect(np.stack(values), compare.weights_of(self.labels), self.labels, unit=unit)

    def on_validation(self, remedy: str, place: str) -> float:
        """Mean over runs of the score on validation."""
        return float(np.mean([used.validation for used in self.used[remedy][place].values()]))


def deploy(shown: Shown, model: str, deployments: Sequence[Deployment], *, repriored: bool) -> Deployed:
    """Use all runs of one model under the first profile in all places, see `use`."""
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
    """One row a remedy and place: the gain over `none` used in the same way; the remedies in one place are declared together.

    Returns:
        `remedy`, `place`, and the columns of `compare.as_row`.
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
    """One row a place: what re-prioring alone gives plain training; the places are declared together."""
    rows = []
    for place in after.deployments:
        effect = after.difference(PLAIN, PLAIN, place.name, against=before)
        judged = compare.judge(effect, margin=after.margin, comparisons=len(after.deployments))
        taus = [used.tau for used in after.used[PLAIN][place.name].values()]
        rows.append({"place": place.name, "tau": float(np.median(taus))} | compare.as_row(judged))
    return pd.DataFrame(rows)


def say_repriored(frame: pd.DataFrame) -> str:
    """What re-prioring alone gives plain training in each place, in one sentence; see `repriored_plain`."""
    said = [f"{text.fold_points(row)} in *{row['place']}* ({row['verdict']})" for _, row in frame.iterrows()]
    return f"Re-priored against as it comes, {PLAIN} gains, in points: {'; '.join(said)}."


def chosen_taus(deployed: Deployed, place: str) -> pd.DataFrame:
    """One row a remedy: the smallest, median and largest strength that validation chose in one place, over runs."""
    rows = []
    for name, places in deployed.used.items():
        taus = [used.tau for used in places[place].values()]
        low, median, high = np.quantile(taus, (0, 0.5, 1))
        rows.append({"remedy": title_of(name), "median": median, "smallest": low, "largest": high, "runs": len(taus)})
    return pd.DataFrame(rows).sort_values("median", ascending=False, kind="stable", ignore_index=True)


def say_taus(frame: pd.DataFrame) -> str:
    """Which of the two exact strengths, 1 and 0, the remedies are nearer to; see `chosen_taus`."""
    medians = frame.set_index("remedy")["median"]
    others = medians.drop(title_of(PLAIN))
    nearer, overshot = int((others > 0.5).sum()), int((others < 0).sum())
    return (
        f"The median τ of {PLAIN} is {medians[title_of(PLAIN)]:.2f}. Nearer to 1 than to 0, or beyond 1: {nearer} of {len(others)} "
        f"remedies; below 0: {overshot}."
    )


def closest_remedy(deployed: Deployed, given: str) -> str:
    """The remedy that is looked at closely; an empty name is the one that does best on validation in the first place.

    `none` is left aside, and what is computed from it, too, as long as there is another.
    """
    others = [name for name in deployed.used if name != PLAIN]
    trained = [name for name in others if not remedies.entry(name).facts.get("derived_from")]
    return given or max(trained or others, key=lambda name: deployed.on_validation(name, deployed.deployments[0].name))


@dataclass(frozen=True)
class Winner:
    """What to use in one place.

    Args:
        place: its name.
        remedy: best on validation, mean over runs; it may be `none`.
        judged: its gain over `none` on the test images; None if it is `none`.
        verdicts: every other remedy → its verdict against this one on the test images.
    """

    place: str
    remedy: str
    judged: Judged | None
    verdicts: dict[str, str]


def winners(deployed: Deployed) -> list[Winner]:
    """One entry a place; what is chosen is chosen on validation, and the test images judge it."""
    return [_winner(deployed, place.name) for place in deployed.deployments]


def _winner(deployed: Deployed, place: str) -> Winner:
    chosen = max(deployed.used, key=lambda name: deployed.on_validation(name, place))
    others = [name for name in deployed.used if name != chosen]
    verdicts = {name: _judge(deployed, name, chosen, place, comparisons=len(others)).verdict for name in others}
    return Winner(place, chosen, None if chosen == PLAIN else _judge(deployed, chosen, PLAIN, place), dict(verdicts))


def standings(found: Sequence[Winner]) -> pd.DataFrame:
    """One row a remedy and place: `chosen`, or `higher`, `alike` or `lower` against what is chosen there."""
    rows = []
    for one in found:
        for name in (one.remedy, *one.verdicts):
            verdict = one.verdicts.get(name, "chosen")
            said = "alike" if verdict in ("equivalent", "undecided") else verdict
            rows.append({"remedy": title_of(name), "place": one.place, "standing": said})
    return pd.DataFrame(rows)


def say_winners(found: Sequence[Winner]) -> str:
    """One bullet a place: what validation chooses, its gain over `none`, and what cannot be told from it."""
    return "\n".join(f"* *{one.place}*: {_say(one)}" for one in found)


def _say(one: Winner) -> str:
    alike = [name for name, verdict in one.verdicts.items() if verdict in ("equivalent", "undecided")]
    higher = [name for name, verdict in one.verdicts.items() if verdict == "higher"]
    chosen = f"validation chooses **{_title(one.remedy)}**"
    if one.judged is not None:
        chosen += f" ({compare.say_points(one.judged.interval)} against {PLAIN}, {one.judged.verdict})"
    said = f"{chosen}; not to be told from it: {_names(alike)} of {len(one.verdicts)} others"
    return f"{said}; higher on the test images: {_names(higher)}." if higher else f"{said}."


def _names(names: Sequence[str]) -> str:
    listed = f" ({'; '.join(map(_title, names))})" if 0 < len(names) <= FEW else ""
    return f"{len(names)}{listed}"


def _title(remedy: str) -> str:
    """A remedy's name for Markdown, where a star would be read as a mark."""
    return title_of(remedy).replace("*", r"\*")


def left_over(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """One row a place: how many remedies are higher and lower than `none`, with predictions as they come and re-priored.

    Args:
        before: of `deployed_gains`, with predictions as they come.
        after: the same, re-priored.
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
    """How many differences from `none` re-prioring leaves, over all places."""
    before, after = (int(frame[[f"higher_{when}", f"lower_{when}"]].to_numpy().sum()) for when in ("before", "after"))
    pairs = int(frame["remedies"].sum())
    return (
        f"Of {pairs} pairs of a remedy and a place, {before} differ from {PLAIN} in the same place with predictions as they come, "
        f"{after} once all are re-priored."
    )


def mean_costs(before: Deployed, after: Deployed, place: Deployment) -> pd.DataFrame:
    """One row a remedy: what 100 images cost in one place, with predictions as they come and re-priored, 95 % intervals.

    Returns:
        `remedy`, `before`, `after` as text, and `mean`, the estimate after; the cheapest first.
    """
    rows = []
    for name in after.used:
        intervals = [used.level(name, place.name).interval(limits=(0.0, 1.0)) for used in (before, after)]
        costs = [100 * place.dearest * (1 - np.array([i.estimate, i.high, i.low])) for i in intervals]
        texts = [f"{text.plain(e, digits=1)} [{text.plain(lo, digits=1)}, {text.plain(hi, digits=1)}]" for e, lo, hi in costs]
        rows.append({"remedy": title_of(name), "before": texts[0], "after": texts[1], "mean": float(costs[1][0])})
    return pd.DataFrame(rows).sort_values("mean", kind="stable", ignore_index=True)
