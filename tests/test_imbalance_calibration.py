"""Calibration: perfect probabilities, small examples by hand, and what the two corrections must not change."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sample_shown import CLASSES, COUNTS, EACH, LABELS, open_plan, predict, show, turned

from imagestudy import stats
from imagestudy.analysis import imbalance
from imagestudy.analysis.imbalance.calibration import (
    STAGES,
    Believed,
    Calibrated,
    believe,
    correct,
    gaps_by_bin,
    pick_tau_by_nll,
    score_difference,
)
from imagestudy.experiments.grids import Plan
from imagestudy.metrics import classification

EVERY = np.ones(len(LABELS), dtype=np.bool_)
BOTH = {"validation": LABELS, "test": LABELS}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return open_plan(tmp_path)


@pytest.fixture
def shown(plan: Plan) -> imbalance.Shown:
    return show(plan)


@pytest.fixture
def calibrated(shown: imbalance.Shown) -> Calibrated:
    return imbalance.calibrate(shown, "mlp")


class TestBelieved:
    def test_scores_of_all_images_are_those_of_the_metrics(self) -> None:
        logs = predict(0)
        own = believe(logs, LABELS).scores(EVERY)
        assert own["ece"] == pytest.approx(classification.ece(np.exp(logs), LABELS))
        assert own["brier"] == pytest.approx(classification.brier(np.exp(logs), LABELS))
        assert own["nll"] == pytest.approx(classification.nll(logs, LABELS))
        assert own["right"] == pytest.approx(classification.accuracy(logs.argmax(axis=1), LABELS))

    def test_scores_of_a_group_are_those_of_its_images(self) -> None:
        logs, tail = predict(0), LABELS >= 7
        own = believe(logs, LABELS).scores(tail)
        assert own["ece"] == pytest.approx(classification.ece(np.exp(logs[tail]), LABELS[tail]))
        assert own["nll"] == pytest.approx(classification.nll(logs[tail], LABELS[tail]))

    def test_by_hand(self) -> None:
        own = believe(np.log(np.array([[0.75, 0.25], [0.6, 0.4]])), np.array([0, 1]))
        assert own.confidence.tolist() == pytest.approx([0.75, 0.6])
        assert own.right.tolist() == [1.0, 0.0]
        assert own.brier.tolist() == pytest.approx([2 * 0.25**2, 2 * 0.6**2])
        assert own.nll.tolist() == pytest.approx([-np.log(0.75), -np.log(0.4)])
        assert own.scores(np.array([True, True]))["ece"] == pytest.approx((0.25 + 0.6) / 2)

    def test_right_probabilities_have_no_gap(self) -> None:
        right = np.array([1.0] * 8 + [0.0] * 2)
        assert Believed(np.full(10, 0.8), right, right, right).scores(np.ones(10, dtype=np.bool_))["ece"] == pytest.approx(0)

    def test_each_image_has_its_gap_in_one_bin(self) -> None:
        gaps = gaps_by_bin(np.array([0.05, 0.5, 1.0]), np.array([0.0, 1.0, 1.0]))
        assert gaps.shape == (3, classification.ECE_BINS)
        assert [row.nonzero()[0].tolist() for row in gaps] == [[0], [7], []]
        assert gaps.sum(axis=1).tolist() == pytest.approx([-0.05, 0.5, 0.0])


class TestStages:
    def test_the_prior_is_put_right_first_and_then_tempered(self, shown: imbalance.Shown) -> None:
        record = shown.cell("mlp", "none").records[1]
        stages, fitted = correct(record, BOTH)
        raw, righted, tempered = (stages[stage].scores(EVERY) for stage in STAGES)
        assert raw["nll"] == pytest.approx(classification.nll(record.arrays["test"], LABELS))
        assert fitted["tau"] == pytest.approx(1.0, abs=0.3)
        assert righted["nll"] < raw["nll"]
        assert tempered["right"] == righted["right"] > raw["right"]

    def test_a_temperature_changes_no_decision(self, shown: imbalance.Shown) -> None:
        for record in shown.cell("mlp", "balanced_sampler"):
            stages, _ = correct(record, BOTH)
            assert stages[STAGES[2]].right.tolist() == stages[STAGES[1]].right.tolist()

    def test_a_temperature_mends_what_is_only_too_sure(self, shown: imbalance.Shown) -> None:
        record = shown.cell("mlp", "balanced_sampler").records[0]
        for part in ("validation", "test"):
            record.arrays[part] = classification.temper(record.arrays[part], temperature=0.25)
        stages, fitted = correct(record, BOTH)
        raw, righted, tempered = (stages[stage].scores(EVERY)["ece"] for stage in STAGES)
        assert fitted["temperature"] > 1.5
        assert tempered < 0.75 * min(raw, righted)

    @pytest.mark.parametrize("inside", [0.0, 1.0, 2.0])
    def test_the_prior_that_is_inside_has_the_lowest_nll_when_taken_out(self, inside: float) -> None:
        logs = np.concatenate([predict(0, prior=inside, part=part) for part in range(20)])
        found = pick_tau_by_nll(logs, np.tile(LABELS, 20), COUNTS, np.full(CLASSES, 0.1))
        assert found == pytest.approx(inside, abs=0.15)

    def test_in_a_world_like_training_plain_predictions_stay_as_they_are(self) -> None:
        labels = np.repeat(np.arange(CLASSES), COUNTS)
        rng = np.random.default_rng(0)
        logits = rng.normal(size=(len(labels), CLASSES))
        logits[np.arange(len(labels)), labels] += 1.0
        logs = classification.normalize(logits + np.log(COUNTS))
        assert pick_tau_by_nll(logs, labels, COUNTS, COUNTS / COUNTS.sum()) == pytest.approx(1.0, abs=0.35)

    def test_what_is_fitted_is_fitted_on_validation(self, shown: imbalance.Shown) -> None:
        record = shown.cell("mlp", "none").records[0]
        _, before = correct(record, BOTH)
        record.arrays["test"] = record.arrays["test"][::-1].copy()
        assert correct(record, BOTH)[1] == before


class TestTables:
    def test_means_over_runs_by_group_of_the_run_itself(self, shown: imbalance.Shown, calibrated: Calibrated) -> None:
        frame = imbalance.calibration(calibrated).set_index(["remedy", "stage", "group"])
        cell = shown.cell("mlp", "focal")
        for group in ("head", "middle", "tail"):
            expected = []
            for record in cell:
                inside = np.isin(LABELS, classification.groups(turned(record.spec.seed))[group])
                expected.append(classification.nll(record.arrays["test"][inside], LABELS[inside]))
            assert frame.loc[("focal loss", STAGES[0], group), "nll"] == pytest.approx(np.mean(expected))
        assert len(frame) == 5 * len(STAGES) * 4
        assert frame["tau"].groupby("remedy").nunique().max() == 1

    def test_the_tail_is_worse_than_the_head_until_the_prior_is_put_right(self, calibrated: Calibrated) -> None:
        nll = imbalance.calibration(calibrated).set_index(["remedy", "stage", "group"])["nll"].loc["plain training"]
        assert nll[STAGES[0], "tail"] > 2 * nll[STAGES[0], "head"]
        assert nll[STAGES[1], "tail"] < nll[STAGES[0], "tail"]
        assert nll[STAGES[1], "head"] > nll[STAGES[0], "head"]

    def test_groups_are_told_with_arrows(self, calibrated: Calibrated) -> None:
        frame = imbalance.calibration(calibrated)
        told = imbalance.by_group(frame, ("none", "focal")).set_index(["remedy", "group"])
        values = frame[(frame["remedy"] == "plain training") & (frame["group"] == "tail")]["brier"]
        assert told.loc[("plain training", "tail"), "brier"] == " → ".join(f"{value:.2f}" for value in values)
        assert list(told.index.get_level_values("group")) == 2 * ["all", "head", "middle", "tail"]

    def test_costs_are_differences_to_plain_training_at_the_same_stage(self, calibrated: Calibrated) -> None:
        scores = imbalance.calibration(calibrated)
        scores = scores[scores["group"] == "all"].set_index(["stage", "remedy"])
        for stage in (STAGES[0], STAGES[2]):
            frame = imbalance.calibration_costs(calibrated, stage)
            assert "plain training" not in set(frame["remedy"])
            for row in frame.to_dict("records"):
                expected = scores.loc[(stage, row["remedy"]), row["score"]] - scores.loc[(stage, "plain training"), row["score"]]
                assert row["difference"] == pytest.approx(expected)
                assert row["low"] <= row["difference"] <= row["high"]
                assert row["verdict"] in ("higher", "lower", "undecided")

    def test_a_remedy_that_says_the_same_costs_nothing(self, calibrated: Calibrated) -> None:
        frame = imbalance.calibration_costs(calibrated, STAGES[0]).set_index("remedy").loc["focal loss"]
        np.testing.assert_allclose(frame["difference"], 0.0, atol=1e-12)
        assert set(frame["verdict"]) == {"undecided"}

    def test_a_remedy_without_the_prior_is_better_believed_in_a_balanced_world(self, calibrated: Calibrated) -> None:
        frame = imbalance.calibration_costs(calibrated, STAGES[0])
        own = frame[frame["remedy"] == "balanced sampler"].set_index("score")
        assert own.loc["nll", "verdict"] == own.loc["brier", "verdict"] == "lower"
        wide = imbalance.spread_scores(frame).set_index("remedy")
        assert wide.loc["balanced sampler", "nll"].endswith("] lower")
        lower = sum((frame["score"] == "nll") & (frame["verdict"] == "lower"))
        higher = sum((frame["score"] == "nll") & (frame["verdict"] == "higher"))
        said = imbalance.say_costs({"raw": frame})
        assert said.startswith("* *raw*: in ECE, ")
        are = ["is" if number == 1 else "are" for number in (higher, lower)]
        assert said.endswith(f"in NLL, {higher} of 4 {are[0]} worse than plain training, and {lower} {are[1]} better.")

    @pytest.mark.parametrize("score", ["ece", "brier", "nll"])
    def test_a_difference_that_is_the_same_everywhere_has_its_sign(self, score: str) -> None:
        sure, unsure = ([believe(predict(seed, scale=scale, prior=0.0), LABELS) for seed in range(4)] for scale in (6.0, 0.5))
        found = score_difference(sure, unsure, LABELS, score=score, level=0.95)
        expected = np.mean([a.scores(EVERY)[score] - b.scores(EVERY)[score] for a, b in zip(sure, unsure, strict=True)])
        assert found.estimate == pytest.approx(expected)
        assert (found.runs, found.images) == (4, CLASSES * EACH)
        if score != "ece":
            assert stats.decide(found, margin=0.0) == "lower"


class TestReliability:
    def test_pooled_bins_are_all_images_of_all_runs(self, calibrated: Calibrated) -> None:
        frame = imbalance.reliability(calibrated, ("none", "balanced_sampler"))
        own = frame[(frame["remedy"] == "plain training") & (frame["stage"] == STAGES[0])]
        assert own.groupby("seed")["share"].sum().tolist() == pytest.approx([1.0] * 5)
        pooled = own[own["seed"] == -1]
        runs = [stages[STAGES[0]] for stages in calibrated.runs["none"].values()]
        assert (pooled["share"] * pooled["right"]).sum() == pytest.approx(np.mean([run.right for run in runs]))
        assert (pooled["share"] * pooled["confidence"]).sum() == pytest.approx(np.mean([run.confidence for run in runs]))
        assert pooled["bin"].is_monotonic_increasing

    def test_ece_of_one_run_follows_from_its_bins(self, calibrated: Calibrated) -> None:
        frame = imbalance.reliability(calibrated, ("none",))
        own = frame[(frame["stage"] == STAGES[1]) & (frame["seed"] == 2)]
        ece = (own["share"] * (own["right"] - own["confidence"]).abs()).sum()
        assert ece == pytest.approx(calibrated.runs["none"][2][STAGES[1]].scores(EVERY)["ece"])

    def test_the_sentence_says_by_how_much_it_is_too_sure(self) -> None:
        rows = [
            {"bin": 9, "confidence": 0.7, "right": 0.5, "share": 0.5},
            {"bin": 14, "confidence": 1.0, "right": 0.9, "share": 0.5},
        ]
        frame = pd.DataFrame([{"remedy": "none", "stage": "as they come", "seed": -1} | row for row in rows])
        assert imbalance.say_reliability(frame) == (
            "Confidence minus accuracy for plain training, in points: +15.0 (as they come)."
        )
