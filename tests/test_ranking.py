"""The ranking of all models: orders, shares and variance components on hand-made records."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pandas.errors import MergeError

from imagestudy import data
from imagestudy.analysis.accuracy import costs, errors, ranking, variation
from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice, ModelSpec, RunSpec
from imagestudy.experiments import grids
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Record, Records, labels_key

DIGITS = Choice(name="digits")
LABELS = data.held_out_labels(DIGITS)
SEEDS = range(4)


def said(labels: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Log-probabilities that are right but for the images in `wrong`, which are taken for the next class."""
    shown = labels.copy()
    shown[wrong] = (shown[wrong] + 1) % 10
    return np.log(np.where(np.arange(10) == shown[:, None], 0.91, 0.01)).astype(np.float16)


def record(model: str, seed: int, wrong: np.ndarray, *, hard: int = 0) -> Record:
    spec = RunSpec(dataset=DIGITS, model=ModelSpec(name=model), seed=seed)
    arrays = {"test": said(LABELS["test"], wrong), "validation": said(LABELS["validation"], np.arange(hard))}
    accuracy = {"accuracy": 1 - len(wrong) / 500, "balanced_accuracy": 1 - len(wrong) / 500}
    others = {"macro_f1": accuracy["accuracy"], "worst_class": 0.5, "ece": len(wrong) / 500, "nll": 0.1}
    chosen = dict.fromkeys(accuracy, 1 - hard / 297)
    return Record(spec, accuracy | others, chosen, {"seconds": 1.0}, {}, arrays)


def collect(*records: Record) -> Records:
    return Records(records, {labels_key(DIGITS): LABELS})


@pytest.fixture(scope="module")
def plan() -> Plan:
    return grids.open_study("digits", "default")


@pytest.fixture(scope="module")
def records() -> Records:
    """In every run mlp misses 0–9, resnet 0–4, vit 100–199, logistic 0–19, and the majority class nearly everything."""
    wrong = {"mlp": (0, 10), "resnet": (0, 5), "vit": (100, 200), "majority": (0, 450), "logistic": (0, 20)}
    return collect(*(record(name, seed, np.arange(*span), hard=span[1] // 5) for name, span in wrong.items() for seed in SEEDS))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"score": "acuracy"}, "unknown score 'acuracy' in parameter 'score'; allowed: accuracy, balanced_accuracy; did you mean"),
        ({"cost": "euros"}, "unknown cost 'euros' in parameter 'cost'"),
        ({"missed_shown": 0}, "0 was given in parameter 'missed_shown'; allowed: 1 to 60"),
    ],
)
def test_what_is_not_allowed_is_refused_by_a_sentence(given: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ranking.check(**({"score": "accuracy", "cost": "seconds", "missed_shown": 12} | given))


def test_the_best_comes_first_and_is_near_itself(records: Records) -> None:
    ranked = ranking.rank(records, score="accuracy")
    assert list(ranked["model"]) == ["resnet", "mlp", "logistic", "vit", "majority"]
    assert bool(ranked["near"].iloc[0])
    assert not ranked["near"].iloc[-1]
    assert "**resnet** has the highest accuracy: 0.990" in ranking.say_lead(ranked, score="accuracy")


def test_the_axis_leaves_out_the_majority_class_alone(records: Records) -> None:
    ranked = ranking.rank(records, score="accuracy")
    start = ranking.axis_start(ranked)
    assert [name for name, value in zip(ranked["model"], ranked["estimate"], strict=True) if value < start] == ["majority"]


def test_the_room_is_above_the_better_baseline(records: Records) -> None:
    told = ranking.say_baselines(ranking.rank(records, score="accuracy"), score="accuracy")
    assert "logistic reaches 0.960" in told
    assert told.endswith("room for 4.0 points.")


def test_a_family_is_what_validation_chose_in_each_run() -> None:
    empty = np.arange(0)
    rows = [record("mlp", s, np.arange(50), hard=0 if s else 9) for s in SEEDS] + [
        record("perceptron", s, empty, hard=5) for s in SEEDS
    ]
    (family,) = ranking.rank_families(collect(*rows), score="accuracy").to_dict("records")
    assert (family["family"], family["chosen"]) == ("ANN", "mlp 3×, perceptron 1×")
    assert family["estimate"] == pytest.approx((3 * 0.9 + 1.0) / 4)


def test_pairs_are_of_deciding_members_once_and_declared_together(plan: Plan, records: Records) -> None:
    pairs = ranking.compare_pairs(plan, records, score="accuracy")
    assert list(zip(pairs["row"], pairs["column"], strict=True)) == [("mlp", "resnet"), ("mlp", "vit"), ("resnet", "vit")]
    assert set(pairs["comparisons"]) == {3}
    assert pairs["difference"].tolist() == pytest.approx([-0.01, 0.18, 0.19])


def test_with_fewer_than_two_of_them_all_models_are_compared(plan: Plan, records: Records) -> None:
    few = Records(tuple(record for record in records if record.spec.model.name in ("mlp", "logistic", "majority")), records.labels)
    assert ranking.compare_pairs(plan, few, score="accuracy")[["row", "column"]].to_numpy().tolist() == [["mlp", "logistic"]]
    with pytest.raises(InputError, match="study 'digits' has nothing to compare; needed: at least two models besides 'majority'"):
        ranking.compare_pairs(plan, records.where(model="mlp"), score="accuracy")


@pytest.mark.parametrize(
    ("names", "claims"),
    [
        (("mlp", "svm"), ["A1"]),
        (("mlp", "majority"), []),
        (("perceptron", "svm"), []),
        (("mlp", "resnet", "bilstm", "vit"), ["A2"]),
        (("mlp", "resnet", "bilstm", "perceptron", "lenet", "elman"), ["A3–A5"]),
    ],
)
def test_a_claim_is_decided_where_the_study_has_its_members(plan: Plan, names: tuple[str, ...], claims: list[str]) -> None:
    assert ranking.decidable(Plan(plan.study.model_copy(update={"models": names}), plan.effort)) == claims
    assert ranking.decidable(plan) == ["A1", "A2", "A3–A5"]


def test_shared_errors_are_shares_of_the_rows_own(records: Records) -> None:
    shared = errors.share_errors(records).set_index("model")
    assert shared.loc["resnet", "mlp"] == 1.0
    assert shared.loc["mlp", "resnet"] == 0.5
    assert shared.loc["mlp", "mlp"] == 1.0
    assert shared.loc["mlp", "vit"] == 0.0
    assert shared.loc["vit", "missed"] == pytest.approx(0.2)


def test_a_model_without_errors_shares_none() -> None:
    shared = errors.share_errors(collect(*(record("mlp", seed, np.arange(0)) for seed in SEEDS)))
    assert np.isnan(shared["mlp"][0])


def test_agreement_leaves_out_the_majority_class(records: Records) -> None:
    told = errors.say_agreement(records)
    assert "Of 500 test images, 380 are classified correctly by every run" in told
    assert "10 by half of the runs or fewer; 0 by no run" in told


def test_the_hardest_are_validation_images_with_what_was_said(records: Records) -> None:
    found = errors.find_hardest(records, number=3)
    validation = data.prepare(records.records[0].spec).validation
    np.testing.assert_array_equal(found.images, validation.images[:3])
    label = int(validation.labels[0])
    assert found.captions[0] == f"{label}\npredicted {(label + 1) % 10}\nmissed by 100 %"


def test_of_equally_many_misses_the_least_likely_to_be_right_come_first(records: Records) -> None:
    validation = data.prepare(records.records[0].spec).validation
    every, surest = np.arange(len(validation.labels)), 17
    changed = []
    for record in records:
        said = np.full_like(record.arrays["validation"], -2.0)
        said[every, (validation.labels + 1) % 10] = -0.5
        said[surest, validation.labels[surest]] = -9.0
        said[3] = -2.0
        said[3, validation.labels[3]] = -0.1
        changed.append(replace(record, arrays=record.arrays | {"validation": said}))
    found = errors.find_hardest(Records(tuple(changed), records.labels), number=len(every))
    np.testing.assert_array_equal(found.images[0], validation.images[surest])
    np.testing.assert_array_equal(found.images[-1], validation.images[3])


def test_costs_join_by_model_and_leave_the_recorded_seconds(records: Records) -> None:
    spec = RunSpec(dataset=DIGITS, model=ModelSpec(name="mlp"), kind="cost")
    measured = Record(spec, {}, {}, {"seconds": 7.0, "params": 10.0}, {}, {})
    priced = costs.with_costs(ranking.rank(records, score="accuracy"), collect(measured))
    assert priced[["model", "seconds", "params"]].to_numpy().tolist() == [["mlp", 7.0, 10.0]]
    assert np.isnan(priced["flops"][0])
    with pytest.raises(MergeError):
        costs.with_costs(ranking.rank(records, score="accuracy"), collect(measured, measured))


@pytest.mark.parametrize("effort", ["smoke", "default", "full"])
def test_the_cost_of_each_model_is_measured_once_and_with_plain_training(effort: str) -> None:
    """Otherwise, a table of models has several rows for a model."""
    declared = grids.model_costs(plan := grids.open_study("digits", effort))
    assert len({spec.model.label for spec in declared}) == len(declared)
    assert {(spec.remedy.name, spec.kind) for spec in declared} == {("none", "cost")}
    assert {spec.run_id for spec in declared} <= {spec.run_id for spec in grids.costs(plan)}


@pytest.mark.parametrize(
    ("seconds", "said"), [(2.0, "vit takes about as long"), (2.4, "vit takes 1.2 times as long"), (2_400.0, "1,200 times as long")]
)
def test_how_much_longer_the_slowest_takes_is_said_in_words(seconds: float, said: str) -> None:
    rows = [{"model": "mlp", "near": True, "seconds": 2.0}, {"model": "vit", "near": True, "seconds": seconds}]
    assert said in costs.say_costs(pd.DataFrame(rows))


def test_the_same_errors_in_every_run_are_the_test_sets_alone(records: Records) -> None:
    spread = variation.measure_spread(records, score="accuracy").set_index("model")
    assert "majority" not in spread.index
    assert spread.loc["mlp", ["seen", "training", "test_share"]].tolist() == pytest.approx([0, 0, 1])
    assert spread.loc["vit", "test_set"] > 0


def test_runs_that_differ_as_wholes_differ_by_training() -> None:
    rows = [record("mlp", seed, np.arange(500) if seed % 2 else np.arange(0)) for seed in SEEDS]
    (spread,) = variation.measure_spread(collect(*rows), score="accuracy").to_dict("records")
    assert spread["test_share"] == pytest.approx(0, abs=1e-9)
    assert spread["training"] == pytest.approx(spread["seen"])


def test_shared_errors_ask_for_more_images_and_not_for_more_runs(records: Records) -> None:
    projected = variation.project(records, score="accuracy", model="vit")
    assert projected["runs"].tolist() == [4, 16, 4, 16]
    assert projected["test images"].tolist() == [500, 500, 2000, 2000]
    assert variation.say_projection(projected, model="vit").endswith("More test images would narrow it more.")


def test_the_conclusion_names_near_families_and_all_verdicts(records: Records) -> None:
    ranked = ranking.rank(records, score="accuracy")
    families = pd.DataFrame({"family": ["CNN", "ANN", "RNN"], "near": [True, True, False]})
    rows = [("A1", "supported"), ("A2", "undecided"), ("A3", "supported")]
    findings = pd.DataFrame([{"claim": c, "says": "x", "verdict": v, "points": "", "would decide it": ""} for c, v in rows])
    told = ranking.conclude(ranked, families, findings, score="accuracy")
    assert "No single family is best: CNN and ANN are statistically indistinguishable" in told
    assert told.endswith("A1, A3 are **supported**; A2 is **undecided**.")
    assert "The best family is **CNN**." in ranking.conclude(ranked, families[:1], findings, score="accuracy")
    assert "lacks the models" in ranking.say_findings(findings[:0])
