"""Gains over plain training, who gets them, what they cost and what follows, on records made by hand."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from imagestudy.analysis import comparisons, imbalance
from imagestudy.analysis.imbalance.gains import declared_remedies
from imagestudy.analysis.imbalance.selection import MEMBERS, pairs
from imagestudy.core.errors import InputError
from imagestudy.core.specs import ProfileSpec, RunSpec
from imagestudy.experiments import grids
from imagestudy.experiments.dependencies import is_derived
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Record, Records, labels_key
from imagestudy.experiments.versions import stamp
from imagestudy.metrics import classification

STUDY = """\
dataset: digits
models: [mlp, svm]
crossed: [mlp, svm]
profiles: [{{name: exponential, ratio: 50}}, {{name: step, ratio: 10}}]
remedies: [{remedies}]
training: {{images_seen: 640}}
efforts:
  smoke: {{runs: 2, whole: 1, trials: 2}}
  default: {{runs: 4, whole: 1, trials: 3, thinned: [balanced_softmax]}}
  full: {{runs: 3}}
"""
REMEDIES = "none, tuned, balanced_sampler, focal, balanced_softmax, logit_adjustment"
CLASSES, EACH = 10, 20
LABELS = np.repeat(np.arange(CLASSES), EACH)
COUNTS = [95, 61, 39, 25, 16, 10, 6, 4, 2, 1]


def open_plan(folder: Path, effort: str = "default", text: str = STUDY, remedies: str = REMEDIES) -> Plan:
    file = folder / "small.yaml"
    file.write_text(text.format(remedies=remedies))
    return grids.open_study(str(file), effort)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return open_plan(tmp_path)


def said(right: np.ndarray, sure: float) -> np.ndarray:
    """Log-probabilities that name the true class where `right`, the next one elsewhere, each with probability `sure`."""
    named = np.where(right, LABELS, (LABELS + 1) % CLASSES)
    probabilities = np.full((len(LABELS), CLASSES), (1 - sure) / (CLASSES - 1))
    probabilities[np.arange(len(LABELS)), named] = sure
    return np.log(probabilities)


@lru_cache
def predict(wrong: int, sure: float) -> tuple[np.ndarray, dict[str, float]]:
    """Log-probabilities that err on the first `wrong` images of every rare class, those of index 5 and above, and their scores."""
    logs = said((LABELS < 5) | (np.arange(len(LABELS)) % EACH >= wrong), sure)
    return logs, classification.score(logs, LABELS, np.array(COUNTS))


@lru_cache
def fitted(wrong: int, sure: float) -> float:
    """The temperature of these predictions, validation and test images being the same ones here."""
    return classification.fit_temperature(predict(wrong, sure)[0], LABELS)


def make(spec: RunSpec, wrong: int, *, sure: float = 0.9) -> Record:
    """A run that predicts so."""
    logs, scores = predict(wrong, sure)
    tau = {"tau": 1.0} if is_derived(spec) else {}
    facts = {"counts": COUNTS, "temperature": fitted(wrong, sure)} | tau
    return Record(spec, scores, scores, {"seconds": 2.0}, facts, {"test": logs})


def show(plan: Plan, wrong: Callable[[RunSpec], int], *, sure: float = 0.9) -> imbalance.Shown:
    """All runs of the notebook, each with so many wrong images in every rare class."""
    profiles = imbalance.profiles_of(plan, ratios=[])
    specs = imbalance.needs(plan)
    labels = {labels_key(plan.study.dataset): {"test": LABELS, "validation": LABELS}}
    keyed = {labels_key(stamp(spec).dataset): part for spec in specs for part in labels.values()}
    return imbalance.Shown(plan, profiles, Records(tuple(make(spec, wrong(spec), sure=sure) for spec in specs), keyed))


def by_remedy(spec: RunSpec) -> int:
    return {"none": 8, "tuned": 7, "balanced_sampler": 2, "balanced_softmax": 2, "focal": 12}.get(spec.remedy.name, 8)


class TestWhatIsShown:
    def test_the_profiles_are_those_of_the_study(self, plan: Plan) -> None:
        assert imbalance.profiles_of(plan, ratios=[]) == list(plan.study.profiles)

    def test_ratios_replace_those_of_the_study(self, plan: Plan) -> None:
        assert [p.label for p in imbalance.profiles_of(plan, ratios=[20])] == ["exponential 20", "step 20"]

    @pytest.mark.parametrize("ratio", [0.5, 10_000, "much", True])
    def test_a_ratio_that_is_not_allowed_is_refused_in_a_sentence(self, ratio: object, plan: Plan) -> None:
        with pytest.raises(InputError, match=r"ratio .* in parameter 'ratios'"):
            imbalance.profiles_of(plan, ratios=[ratio])

    @pytest.mark.parametrize(
        ("old", "new", "lacking"),
        [
            ("crossed: [mlp, svm]", "crossed: []", "no model under 'crossed'"),
            ("profiles: [{{name: exponential, ratio: 50}}, {{name: step, ratio: 10}}]", "profiles: []", "no imbalanced profile"),
            ("remedies: [{remedies}]", "remedies: [none]", "no remedy that this effort tries"),
        ],
    )
    def test_a_study_with_nothing_to_show_is_refused(self, old: str, new: str, lacking: str, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=lacking):
            imbalance.profiles_of(open_plan(tmp_path, text=STUDY.replace(old, new)), ratios=[])

    def test_an_empty_model_is_the_first_crossed_one(self, plan: Plan) -> None:
        assert [imbalance.model_of(plan, given) for given in ("", "svm")] == ["mlp", "svm"]
        with pytest.raises(InputError, match="unknown model 'vit' in parameter 'model'; allowed: mlp, svm"):
            imbalance.model_of(plan, "vit")

    def test_an_empty_remedy_is_the_best_on_validation_but_none(self, plan: Plan) -> None:
        assert imbalance.remedy_of(show(plan, by_remedy), "", model="mlp") == "balanced_sampler"
        assert imbalance.remedy_of(show(plan, lambda spec: int(spec.remedy.name != "none")), "", model="mlp") != "none"

    def test_a_remedy_that_the_model_cannot_follow_is_refused(self, plan: Plan) -> None:
        imbalance.check_remedy(plan, "focal", model="mlp")
        with pytest.raises(InputError, match="unknown remedy 'focal' in parameter 'remedy', model 'svm'"):
            imbalance.check_remedy(plan, "focal", model="svm")

    def test_counts_fall_from_rank_to_rank(self, plan: Plan) -> None:
        counts = imbalance.counts(plan, plan.study.profiles)
        assert list(counts) == ["exponential 50", "step 10"]
        assert counts["exponential 50"].tolist() == COUNTS

    def test_the_grid_holds_the_study_its_trials_and_the_balanced_counterparts(self, plan: Plan) -> None:
        specs = imbalance.needs(plan)
        ids = {spec.run_id for spec in specs}
        assert len(ids) == len(specs)
        assert {stamp(s).run_id for s in (*grids.imbalance(plan), *grids.loss_to_imbalance(plan))} <= ids
        assert {(s.model.name, s.seed) for s in specs if s.kind == "trial"} == {("mlp", 1_000), ("svm", 1_000)}

    def test_a_natural_profile_has_no_balanced_counterpart(self, plan: Plan) -> None:
        assert pairs(plan, [ProfileSpec(name="natural")]) == []


class TestLossesAndGains:
    def test_a_loss_is_against_as_many_balanced_images(self, plan: Plan) -> None:
        frame = imbalance.losses(show(plan, lambda spec: 0 if spec.profile.name == "balanced" else 8))
        assert list(frame["model"]) == 2 * list(MEMBERS)
        np.testing.assert_allclose(frame["difference"], -0.5 * 8 / EACH)
        assert set(frame["verdict"]) == {"lower"}
        assert set(frame["comparisons"]) == {len(MEMBERS)}

    def test_a_gain_is_against_none_of_the_same_model_and_profile(self, plan: Plan) -> None:
        frame = imbalance.gains(show(plan, by_remedy)).set_index(["profile", "model", "remedy"])["difference"]
        np.testing.assert_allclose(frame["exponential 50", "mlp", "balanced sampler"], 0.5 * 6 / EACH)
        np.testing.assert_allclose(frame["exponential 50", "mlp", "focal loss"], -0.5 * 4 / EACH)
        np.testing.assert_allclose(frame["step 10", "mlp", "balanced softmax"], 0.5 * 6 / EACH)
        assert "plain training" not in frame.index.get_level_values("remedy")

    def test_the_remedies_of_a_profile_are_declared_together_for_every_model(self, plan: Plan) -> None:
        frame = imbalance.gains(show(plan, by_remedy))
        assert frame.groupby("profile")["comparisons"].unique().map(list).to_dict() == {"exponential 50": [5], "step 10": [1]}

    def test_what_a_model_cannot_follow_has_no_row(self, plan: Plan) -> None:
        frame = imbalance.gains(show(plan, by_remedy))
        first = frame[frame["profile"] == "exponential 50"]
        assert set(first.loc[first["model"] == "svm", "remedy"]) == {
            "plain training, tuned",
            "balanced sampler",
            "logit adjustment, τ = 1",
        }

    def test_what_gains_most_under_the_first_profile_on_the_mean_of_the_models_comes_first(self, plan: Plan) -> None:
        frame = imbalance.gains(show(plan, by_remedy))
        order = list(dict.fromkeys(frame["remedy"]))
        means = frame[frame["profile"] == "exponential 50"].groupby("remedy")["difference"].mean()
        assert list(means[order]) == sorted(means, reverse=True)
        assert order[-1] == "focal loss"

    def test_a_cell_whose_runs_all_failed_is_left_out(self, plan: Plan) -> None:
        shown = show(plan, by_remedy)
        kept = Records(tuple(r for r in shown.records if r.spec.remedy.name != "focal"), shown.records.labels)
        assert "focal loss" not in set(imbalance.gains(imbalance.Shown(plan, shown.profiles, kept))["remedy"])

    @pytest.mark.parametrize(
        ("verdicts", "sentence"),
        [
            (["higher", "undecided", "higher"], "Gains: 2 higher, 1 undecided."),
            (["lower"], "Gains: 1 lower."),
            ([], "Gains: nothing to compare."),
        ],
    )
    def test_verdicts_are_counted_in_a_sentence(self, verdicts: list[str], sentence: str) -> None:
        assert imbalance.say_verdicts(pd.DataFrame({"verdict": verdicts}), of="Gains") == sentence


class TestGroups:
    @pytest.mark.parametrize("group", ["head", "middle", "tail"])
    def test_the_effect_of_a_group_is_the_difference_of_its_recall(self, group: str, plan: Plan) -> None:
        shown = show(plan, by_remedy)
        ours, plain = shown.cell("mlp", "balanced_sampler"), shown.cell("mlp", "none")
        effect = imbalance.group_effect(ours, plain, group)
        expected = [a.scores[group] - b.scores[group] for a, b in zip(ours, plain, strict=True)]
        np.testing.assert_allclose(effect.by_run, expected, atol=1e-12)

    def test_groups_follow_the_run_where_other_classes_are_rare(self, plan: Plan) -> None:
        shown = show(plan, by_remedy)
        cells = []
        for name in ("balanced_sampler", "none"):
            first, *others = shown.cell("mlp", name)
            turned = Record(first.spec, {}, {}, {}, {"counts": COUNTS[::-1]}, first.arrays)
            cells.append(Records((turned, *others), shown.records.labels))
        by_run = imbalance.group_effect(*cells, "tail").by_run
        np.testing.assert_allclose(by_run[0], 0.0, atol=1e-12)
        assert np.all(by_run[1:] > 0.2)

    def test_head_and_tail_are_declared_together_and_balanced_training_has_neither(self, plan: Plan) -> None:
        shown = show(plan, by_remedy)
        plain = shown.cell("mlp", "none")
        judged = imbalance.judge_groups(shown.cell("mlp", "balanced_sampler"), plain, margin=0.01)
        assert {name: (one.verdict, one.comparisons) for name, one in judged.items()}["tail"] == ("higher", 2)
        sentences = imbalance.say_groups(judged, remedy="balanced_sampler")
        assert (
            "The remedy *balanced sampler* is higher than plain training in recall of the tail classes: +30.0 points" in sentences
        )
        even = Records(tuple(Record(r.spec, {}, {}, {}, {"counts": [9] * 10}, r.arrays) for r in plain), plain.labels)
        assert imbalance.judge_groups(even, even, margin=0.01) == {}

    def test_recall_stands_against_the_training_images_of_the_class(self, plan: Plan) -> None:
        frame = imbalance.recall_by_count(show(plan, by_remedy).of_model("mlp", only=("none", "focal")))
        assert len(frame) == 2 * 4 * CLASSES
        rarest = frame[(frame["remedy"] == "plain training") & (frame["count"] == 2)]["recall"]
        assert len(rarest) > 0
        np.testing.assert_allclose(rarest, 1 - 8 / EACH)
        assert imbalance.say_rarity(frame) == (
            "Mean recall of classes with 1 training image and with 95: 0.60 and 1.00 for plain training; "
            "0.40 and 1.00 for focal loss."
        )


class TestCosts:
    def test_tuning_costs_a_training_for_each_trial_and_a_correction_none(self, plan: Plan) -> None:
        assert [imbalance.trainings(plan, name, "mlp") for name in ("none", "focal", "logit_adjustment", "tuned")] == [1, 1, 1, 4]

    def test_the_price_counts_every_training_in_units_of_a_plain_one(self, plan: Plan) -> None:
        frame = imbalance.costs(show(plan, by_remedy), "mlp").set_index("remedy")
        assert frame["times"].to_dict() == dict.fromkeys(frame.index, 1.0) | {"plain training, tuned": 4.0}
        assert frame.loc["plain training, tuned", "trainings"] == 4

    def test_seconds_of_runs_beside_which_other_work_ran_are_no_price(self, plan: Plan) -> None:
        shown = show(plan, by_remedy)
        slow = [replace(r, cost={"seconds": 9.0}) if r.spec.remedy.name == "focal" else r for r in shown.records]
        frame = imbalance.costs(imbalance.Shown(plan, shown.profiles, Records(tuple(slow), shown.records.labels)), "mlp")
        assert frame.set_index("remedy").loc["focal loss", "times"] == 1.0
        assert frame["seconds"].isna().all()

    def test_a_remedy_that_was_measured_alone_has_that_price(self, plan: Plan) -> None:
        shown = show(plan, by_remedy)
        alone = [
            Record(shown.cell("mlp", name).records[0].spec.with_(kind="cost"), {}, {}, {"seconds": seconds}, {"counts": COUNTS})
            for name, seconds in (("none", 4.0), ("focal", 6.0))
        ]
        priced = imbalance.Shown(plan, shown.profiles, Records((*shown.records, *alone), shown.records.labels))
        frame = imbalance.costs(priced, "mlp").set_index("remedy")
        assert frame.loc["focal loss", "times"] == 1.5
        assert frame.loc["plain training, tuned", "times"] == 4.0

    def test_the_cheapest_of_the_best_is_named_with_its_price(self) -> None:
        frame = pd.DataFrame(
            {"remedy": list("abc"), "times": [3.0, 1.02, 1.0], "estimate": [0.9, 0.89, 0.5], "near": [True, True, False]}
        )
        assert imbalance.say_cheapest(frame) == (
            "2 of 3 are among the best (statistically indistinguishable from the highest). The cheapest of them is b, at the cost "
            "of plain training. The most expensive is a, at 3 times the cost of plain training."
        )

    def test_where_the_best_cost_the_same_it_is_said_once(self) -> None:
        frame = pd.DataFrame({"remedy": list("ab"), "times": [1.01, 0.99], "estimate": [0.9, 0.89], "near": [True, True]})
        assert imbalance.say_cheapest(frame) == (
            "2 of 2 are among the best (statistically indistinguishable from the highest). They are b; a, all at "
            "the cost of plain training."
        )

    def test_the_axis_begins_a_little_below_plain_training(self) -> None:
        assert imbalance.axis_start(
            pd.DataFrame({"remedy": ["plain training", "mixup"], "estimate": [0.822, 0.4]})
        ) == pytest.approx(0.75)

    def test_tuned_says_what_was_chosen_and_the_gain_of_the_gains(self, plan: Plan) -> None:
        shown = show(plan, by_remedy)
        shown = imbalance.Shown(plan, shown.profiles, Records(tuple(map(with_settings, shown.records)), shown.records.labels))
        frame, all_gains = imbalance.tuned(shown), imbalance.gains(shown)
        assert list(frame["chosen"]) == ["learning rate 0.009, weight decay 0.5", "C 10"]
        same = all_gains[(all_gains["remedy"] == "plain training, tuned") & (all_gains["profile"] == "exponential 50")]
        columns = ["model", "difference", "low", "high", "verdict", "comparisons"]
        pd.testing.assert_frame_equal(frame[columns], same[columns].reset_index(drop=True))

    def test_strengths_are_told_run_by_run(self, plan: Plan) -> None:
        frame = imbalance.taus(show(plan, by_remedy))
        assert list(frame["chosen"]) == ["1.00 1.00 1.00 1.00"] * 2
        assert list(frame["median"]) == [1.0, 1.0]

    def test_a_study_without_tuning_has_an_empty_table(self, tmp_path: Path) -> None:
        plan = open_plan(tmp_path, remedies="none, focal")
        frame = imbalance.tuned(show(plan, by_remedy))
        assert frame.empty
        assert {"model", "trainings", "chosen", "difference", "verdict"} <= set(frame)


def with_settings(record: Record) -> Record:
    own = {"learning_rate": 0.009, "weight_decay": 0.5} if record.spec.model.name == "mlp" else {"options": {"C": 10}}
    return Record(record.spec, record.scores, record.validation, record.cost, record.facts | own, record.arrays)


class TestRanking:
    def test_the_highest_comes_first_and_what_cannot_be_told_from_it_is_marked(self, plan: Plan) -> None:
        frame = imbalance.rank(show(plan, by_remedy), "mlp").set_index("remedy")
        assert list(frame["estimate"]) == sorted(frame["estimate"], reverse=True)
        assert set(frame.index[frame["near"]]) == {"balanced sampler", "balanced softmax"}
        marked = imbalance.mark_best(imbalance.gains(show(plan, by_remedy)), show(plan, by_remedy))
        near = marked[marked["near"] & (marked["model"] == "mlp")]
        assert set(near["remedy"]) == {"balanced sampler", "balanced softmax"}

    def test_the_remedies_near_the_highest_of_every_model_are_named(self) -> None:
        frame = pd.DataFrame(
            {"model": ["a", "a", "b", "b"], "remedy": ["x", "y", "x", "y"], "near": [True, True, True, False], "difference": 0.0}
        )
        assert imbalance.say_near(frame) == (
            "Number of remedies among the best of their column (statistically indistinguishable from the highest): 2 for a, "
            "1 for b. Among the best for every model: x."
        )

    def test_a_model_that_needs_its_own_remedy_is_told_from_those_that_agree(self, plan: Plan) -> None:
        """The network is best with the balanced sampler, the classical model with adjustment; neither would serve the other."""

        def wrong(spec: RunSpec) -> int:
            best = {"mlp": "balanced_sampler", "svm": "logit_adjustment"}.get(spec.model.name)
            return 0 if spec.remedy.name == best else 10

        frame = imbalance.one_for_all(show(plan, wrong)).set_index("model")
        assert frame.loc["mlp", ["own", "common"]].tolist() == ["balanced sampler", "logit adjustment, τ = 1"]
        assert set(frame["verdict"]) == {"higher"}
        assert set(frame["comparisons"]) == {2}
        np.testing.assert_allclose(frame["difference"], 0.5 * 10 / EACH)
        alike = imbalance.one_for_all(show(plan, lambda spec: 0 if spec.remedy.name == "balanced_sampler" else 10))
        assert alike.empty
        said = imbalance.say_one_for_all(alike, show(plan, by_remedy))
        assert said == "All 2 models choose the same remedy as the other models would choose for them."

    def test_the_choice_of_the_others_is_one_that_the_model_can_follow(self, plan: Plan) -> None:
        frame = imbalance.one_for_all(show(plan, lambda spec: 0 if spec.remedy.name == "balanced_softmax" else 10))
        assert "balanced softmax" not in set(frame["common"])
        assert list(frame["own"]) == ["balanced softmax"]

    def test_curves_have_a_point_a_ratio_and_remedy(self, tmp_path: Path) -> None:
        text = STUDY.replace("thinned: [balanced_softmax]", "ratios: [2, 50], curves: [balanced_softmax]")
        plan = open_plan(tmp_path, text=text)
        frame = imbalance.curves(show(plan, by_remedy), "mlp")
        assert frame[["ratio", "remedy"]].values.tolist() == [
            [ratio, remedy] for remedy in ("plain training", "balanced softmax") for ratio in (2.0, 50.0)
        ]
        assert set(imbalance.curves(show(plan, by_remedy), "svm")["remedy"]) == {"plain training"}

    def test_moved_runs_are_in_no_cell(self, plan: Plan) -> None:
        shown = show(plan, by_remedy)
        moved = [make(record.spec.moved("init", "batches"), 0) for record in shown.cell("mlp", "none")]
        more = imbalance.Shown(plan, shown.profiles, Records((*shown.records, *moved), shown.records.labels))
        assert [r.spec for r in more.cell("mlp", "none")] == [r.spec for r in shown.cell("mlp", "none")]


class TestBest:
    def test_validation_chooses_and_the_test_images_judge(self, plan: Plan) -> None:
        found = imbalance.best(show(plan, by_remedy))[0]
        assert (found.model, found.remedy, found.trainings) == ("mlp", "balanced_sampler", 1)
        assert found.judged is not None
        assert found.judged.verdict == "higher"
        assert found.alike == ("balanced_softmax",)
        assert found.higher == ()

    def test_its_gain_is_the_comparison_of_the_gains(self, plan: Plan) -> None:
        shown = show(plan, by_remedy)
        found, frame = imbalance.best(shown)[0], imbalance.gains(shown)
        row = frame[(frame["model"] == "mlp") & (frame["remedy"] == "balanced sampler")].iloc[0]
        assert found.judged is not None
        assert (found.judged.interval.low, found.judged.comparisons) == (row["low"], row["comparisons"])

    def test_it_may_be_to_do_nothing(self, plan: Plan) -> None:
        found = imbalance.best(show(plan, lambda spec: 1 if spec.remedy.name == "none" else 9))
        assert [(one.remedy, one.judged) for one in found] == [("none", None)] * 2
        assert "Validation chooses plain training (one training). " in imbalance.say_best(found)

    def test_a_better_one_on_the_test_images_is_named(self, plan: Plan) -> None:
        shown = show(plan, by_remedy)
        hopeful = [
            Record(r.spec, r.scores, {"balanced_accuracy": float(r.spec.remedy.name == "focal")}, r.cost, r.facts, r.arrays)
            for r in shown.records
        ]
        found = imbalance.best(imbalance.Shown(plan, shown.profiles, Records(tuple(hopeful), shown.records.labels)))[0]
        assert found.remedy == "focal"
        assert {"balanced_sampler", "balanced_softmax"} <= set(found.higher)

    def test_the_sentence_takes_its_verb_from_the_verdict(self, plan: Plan) -> None:
        found = imbalance.best(show(plan, by_remedy))
        text = imbalance.say_best(found)
        assert "**ANN (`mlp`).** Validation chooses balanced sampler (one training). It is higher than plain training in" in text
        assert text.count("**") == 2 * len(found)


def test_declared_remedies_are_at_least_one(plan: Plan) -> None:
    assert [declared_remedies(show(plan, by_remedy), rank=rank) for rank in (0, 1)] == [5, 1]


def test_of_model_gathers_the_cells_in_the_order_of_the_study(plan: Plan) -> None:
    own = show(plan, by_remedy).of_model("svm")
    assert list(dict.fromkeys(r.spec.remedy.name for r in own)) == ["none", "tuned", "balanced_sampler", "logit_adjustment"]
    assert len(comparisons.summarize(own)) == 4
