"""What is shown of one model follows from its records, and its verbs from the verdicts. The records here are made up."""

import re
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import pytest

from imagestudy import data
from imagestudy.analysis import claims, families
from imagestudy.analysis import comparisons as compare
from imagestudy.analysis.families import comparisons
from imagestudy.core.errors import InputError
from imagestudy.core.specs import RunSpec
from imagestudy.experiments import grids
from imagestudy.experiments.codec import round_log_probabilities
from imagestudy.experiments.grids import ABLATIONS, DECIDING, TRADITIONAL, Plan
from imagestudy.experiments.records import Record, Records, labels_key
from imagestudy.experiments.versions import stamp
from imagestudy.metrics import classification
from imagestudy.models import build, count_parameters, models

Say = Callable[[RunSpec, np.ndarray], np.ndarray]
GOOD = {"model": "mlp", "curves": ["mlp"], "example": 0, "errors_shown": 1}
NETWORKS = models.names(kind="neural")


@pytest.fixture(scope="module")
def plan() -> Plan:
    return grids.open_study("digits", "smoke")


def rightly(_: RunSpec, labels: np.ndarray) -> np.ndarray:
    return labels


def poorly(spec: RunSpec, labels: np.ndarray) -> np.ndarray:
    """Every third image wrongly, by one class, whatever the run."""
    del spec
    return np.where(np.arange(len(labels)) % 3 == 0, (labels + 1) % (labels.max() + 1), labels)


def record(spec: RunSpec, say: Say = rightly) -> Record:
    """A run that says of each image what it is told to, and is nine tenths sure."""
    held_out = data.held_out_labels(spec.dataset)
    classes = data.class_count(spec.dataset)
    arrays = {"curve": np.array([[64, 2.0, 0.5, 0.4], [128, 1.0, 0.75, 0.695], [192, 0.5, 0.9, 0.7]], dtype=np.float32)}
    for part, labels in held_out.items():
        said = np.full((len(labels), classes), 0.1 / (classes - 1))
        said[np.arange(len(labels)), say(spec, labels)] = 0.9
        arrays[part] = round_log_probabilities(np.log(said))
    facts = {"counts": [4] * classes, "train_accuracy": 1.0}
    return Record(stamp(spec), {}, {"balanced_accuracy": 0.5}, {"seconds": 1.0, "images_seen": 8_000}, facts, arrays)


def records(specs: Iterable[RunSpec], say: Say = rightly) -> Records:
    made = tuple(record(spec, say) for spec in specs)
    return Records(made, {labels_key(r.spec.dataset): data.held_out_labels(r.spec.dataset) for r in made})


# --- choices ------------------------------------------------------------------------------------------------------------------


def test_good_parameters_pass(plan: Plan) -> None:
    for family, model in DECIDING.items():
        families.check(plan, family, **(GOOD | {"model": model, "curves": list(NETWORKS)}))  # type: ignore[arg-type]
    families.check(plan, "cnn", **(GOOD | {"model": TRADITIONAL["cnn"], "example": 900}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": "resnet"}, "unknown model of family 'ann' 'resnet' in parameter 'model'; allowed: perceptron, article, mlp"),
        ({"model": "svm"}, "unknown model of family 'ann' 'svm' in parameter 'model'"),
        ({"curves": []}, "parameter 'curves' is []; allowed: a list with at least one network"),
        ({"curves": "mlp"}, "parameter 'curves' is 'mlp'; allowed: a list with at least one network"),
        ({"curves": ["mlp", "svm"]}, "unknown network 'svm' in parameter 'curves'"),
        ({"example": 10_000}, "parameter 'example' is 10000; allowed: whole numbers from 0 to 9"),
        ({"example": -1}, "parameter 'example' is -1; allowed: whole numbers from 0 to 9"),
        ({"errors_shown": 0}, "parameter 'errors_shown' is 0; allowed: whole numbers from 1 to 60"),
        ({"errors_shown": True}, "parameter 'errors_shown' is True; allowed: whole numbers from 1 to 60"),
        ({"errors_shown": "many"}, "parameter 'errors_shown' is 'many'; allowed: whole numbers from 1 to 60"),
    ],
)
def test_a_bad_parameter_is_refused_with_the_given_and_the_allowed(plan: Plan, given: dict, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        families.check(plan, "ann", **(GOOD | given))


@pytest.mark.parametrize("family", DECIDING)
def test_the_grid_holds_all_that_a_notebook_shows(plan: Plan, family: str) -> None:
    specs = families.needs(plan, family, model=DECIDING[family], curves=["mlp"])
    ids = {spec.run_id for spec in specs}
    wanted = [*grids.overfit(plan, DECIDING[family]), *grids.ablation(plan, DECIDING[family])]
    wanted += grids.accuracy(plan, models_=[*DECIDING.values(), *(TRADITIONAL.values() if family in TRADITIONAL else ())])
    assert {spec.run_id for spec in wanted} <= ids
    assert (
        {spec.run_id for spec in grids.probe(plan)} <= ids if family == "rnn" else not any(s.dataset.name == "probe" for s in specs)
    )


def test_the_grid_follows_the_parameters(plan: Plan) -> None:
    names = {spec.model.name for spec in families.needs(plan, "transformer", model="vit", curves=["vit", "crnn"])}
    assert names == {*DECIDING.values(), "crnn"}
    assert {s.profile.size for s in families.needs(plan, "ann", model="article", curves=["mlp"]) if s.model.name == "article"} == {
        None,
        grids.OVERFIT_IMAGES,
    }


def test_cells_leave_out_what_has_no_run(plan: Plan) -> None:
    found = families.cells(plan, records(grids.cell(plan, "mlp")), ["mlp", "vit"])
    assert list(found) == ["mlp"]
    assert len(found["mlp"]) == plan.effort.runs


def test_an_example_is_a_training_image(plan: Plan) -> None:
    train = data.prepare(grids.cell(plan, "resnet")[0]).train
    assert np.array_equal(families.example(plan, 7), train.images[7])


def test_probe_examples_differ_in_distance_alone(plan: Plan) -> None:
    shown = families.probe_examples(plan, count=4)
    near, far = shown["images"], shown["steps"]["24 rows"]
    assert shown["first"] == "6 rows"
    assert np.array_equal(np.sort(near.max(axis=1), axis=1) > 0, np.sort(far.max(axis=1), axis=1) > 0)
    rows = [np.flatnonzero(image.any(axis=(1, 2))) for image in (near[0], far[0])]
    assert np.ptp(rows[1]) - np.ptp(rows[0]) == 24 - 6


# --- structure ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ("ann", "An image of 8 × 8 pixels becomes one vector of 64 numbers. Every hidden unit has a weight for each of them."),
        ("cnn", "An image of 8 × 8 pixels becomes a grid of 8 × 8 positions. Strides or pooling shrink it to 4 × 4."),
        ("rnn", "An image of 8 × 8 pixels becomes a sequence of 8 time steps with 8 numbers each."),
        (
            "transformer",
            "An image of 8 × 8 pixels becomes 16 patches of 4 numbers. "
            "Each attention head computes a weight for each of 16 × 16 = 256 pairs of patches.",
        ),
    ],
)
def test_a_view_is_said_in_numbers(plan: Plan, family: str, said: str) -> None:
    assert families.say_view(plan, family) == said
    assert set(families.VIEWS) == set(DECIDING)


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_of_the_layers_add_up_to_the_network(plan: Plan, name: str) -> None:
    frame = families.layers(plan, name)
    network = build(grids.model_spec(plan, name), shape=(1, 8, 8), classes=10)
    assert frame["parameters"].sum() == count_parameters(network)
    assert f"{name} has {count_parameters(network):,} trained parameters" in families.say_size(frame, name)
    assert frame["output"].iloc[-1] == "10"


def test_sharing_is_counted_where_there_is_a_convolution(plan: Plan) -> None:
    assert families.say_sharing(plan, families.layers(plan, "mlp")) == ""
    said = families.say_sharing(plan, families.layers(plan, "lenet"))
    assert "computes 384 numbers from 64 with 156 parameters" in said
    assert f"{64 * 384:,} weights, {64 * 384 / 156:,.0f} times as many" in said


def test_sizes_stand_beside_the_scores(plan: Plan) -> None:
    frame = families.sizes(plan, families.cells(plan, records(grids.accuracy(plan, models_=["mlp", "vit"])), ["mlp", "vit"]))
    assert list(frame["parameters"]) == [families.layers(plan, name)["parameters"].sum() for name in ("mlp", "vit")]
    assert list(frame["estimate"]) == [1.0, 1.0]


# --- learning -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "said"),
    [(1.0, "classifies 40 of its 40 training images correctly after 8,000 images seen: it can overfit one batch."),
     (39 / 40, "classifies 39 of its 40 training images correctly after 8,000 images seen: it cannot overfit one batch")],
)  # fmt: skip
def test_one_batch_is_overfitted_only_if_all_of_it_is_right(plan: Plan, share: float, said: str) -> None:
    found = records(grids.overfit(plan, "mlp"))
    found.records[0].facts["train_accuracy"] = share
    assert f"mlp {said}" in families.say_overfit(found, "mlp")


def test_a_failed_overfitting_run_is_said(plan: Plan) -> None:
    assert "failed" in families.say_overfit(records(grids.overfit(plan, "mlp")).of([]), "mlp")


def test_curves_are_read_at_their_end(plan: Plan) -> None:
    frame = families.learned(plan, families.cells(plan, records(grids.cell(plan, "mlp")), ["mlp"]))
    [row] = frame.to_dict("records")
    assert row["settled"] == 128, "0.695 is within one point of 0.700, 0.4 is not"
    assert row["gap"] == pytest.approx(0.2)
    assert (row["loss"], row["model"]) == (0.5, "mlp")
    assert families.say_learned(frame) == "mlp settles after 128 images. The final gap, training − validation, is +20.0 points."


def test_settling_of_several_is_compared() -> None:
    frame = pd.DataFrame({"model": ["a", "b"], "settled": [640, 64], "gap": [-0.01, 0.02]})
    assert families.say_learned(frame).startswith("b settles first, after 64 images; a settles last, after 640. ")
    assert families.say_learned(frame).endswith("largest for b: +2.0 points.")
    assert families.say_learned(frame.assign(settled=64)).startswith("a and b settle after 64 images. ")


# --- mistakes -----------------------------------------------------------------------------------------------------------------


def test_without_mistakes_confusion_is_diagonal(plan: Plan) -> None:
    matrix = families.confusion(records(grids.cell(plan, "mlp")))
    assert np.array_equal(matrix, 50 * np.eye(10))
    assert families.say_confusion(matrix, families.class_names(plan)) == "No run misclassifies any test image."


def test_confusion_is_a_mean_over_runs(plan: Plan) -> None:
    def say(spec: RunSpec, labels: np.ndarray) -> np.ndarray:
        return np.where((labels == 3) & (spec.seed == 0), 9, labels)

    matrix = families.confusion(records(grids.cell(plan, "mlp"), say))
    assert (matrix[3, 9], matrix[3, 3]) == (25.0, 25.0)
    assert np.array_equal(matrix.sum(axis=1), [50.0] * 10)
    said = families.say_confusion(matrix, families.class_names(plan))
    assert said == "The most frequent mistake is 3 classified as 9: 25.0 of 50 test images per run, 100 % of all mistakes."


def test_recall_of_a_class_is_that_of_the_metrics(plan: Plan) -> None:
    cell = records(grids.cell(plan, "mlp"), poorly)
    labels, predicted = cell.test_labels(), cell.records[0].arrays["test"].argmax(axis=1)
    frame = families.per_class(plan, cell)
    assert frame["estimate"].to_numpy() == pytest.approx(classification.per_class_recall(predicted, labels, classes=10))
    assert ((frame["low"] <= frame["estimate"]) & (frame["estimate"] <= frame["high"])).all()
    assert set(frame["images"]) == {50}


def test_a_class_that_is_never_found_is_lower_than_the_others(plan: Plan) -> None:
    frame = families.per_class(plan, records(grids.cell(plan, "mlp"), lambda _, labels: np.where(labels == 4, 5, labels)))
    assert list(frame.loc[frame["verdict"] == "lower", "class"]) == ["4"]
    assert frame.loc[4, "estimate"] == 0.0
    assert families.say_per_class(frame).startswith("Class 4 has the lowest recall: 0.000 [0.000, ")
    assert "1 lower" in families.say_per_class(frame)


def test_errors_are_the_images_that_some_run_misses(plan: Plan) -> None:
    def say(spec: RunSpec, labels: np.ndarray) -> np.ndarray:
        wrong = np.isin(np.arange(len(labels)), [10] if spec.seed else [10, 20])
        return np.where(wrong, (labels + 2) % 10, labels)

    found = families.errors(records(grids.cell(plan, "mlp"), say))
    assert np.array_equal(np.flatnonzero(found.predicted != found.labels), [10, 20])
    assert np.array_equal(found.predicted[[10, 20]], (found.labels[[10, 20]] + 2) % 10)
    assert (found.misses[10], found.misses[20], found.misses.sum()) == (2, 1, 3)
    assert found.probabilities.sum(axis=1) == pytest.approx(1.0)
    assert found.probabilities[[10, 20], found.predicted[[10, 20]]] == pytest.approx([0.9, (0.9 + 0.1 / 9) / 2], abs=1 / 128)
    assert families.say_errors(found) == "Of 297 validation images, 2 are misclassified in at least one of 2 runs, 1 in every run."


def test_images_of_errors_are_those_of_validation(plan: Plan) -> None:
    found, spec = families.errors(records(grids.cell(plan, "vit"))), grids.cell(plan, "vit")[1]
    assert np.array_equal(found.images, data.prepare(spec).validation.images)
    assert np.array_equal(found.labels, data.held_out_labels(spec.dataset)["validation"])


# --- comparisons --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", DECIDING)
def test_taking_nothing_away_changes_nothing(plan: Plan, family: str) -> None:
    frame = families.ablation(plan, records(grids.ablation(plan, DECIDING[family]), poorly), family)
    assert len(frame) == len(ABLATIONS[DECIDING[family]])
    assert not frame["difference"].any()
    assert set(frame["comparisons"]) == {len(frame)}
    assert (frame["parameters"] / plan.study.params).between(0.9, 1.1).all()


def test_a_part_that_matters_is_found(plan: Plan) -> None:
    def say(spec: RunSpec, labels: np.ndarray) -> np.ndarray:
        return poorly(spec, labels) if spec.model.options == {"shortcut": False} else labels

    frame = families.ablation(plan, records(grids.ablation(plan, "resnet"), say), "cnn")
    assert dict(zip(frame["part"], frame["verdict"], strict=True))["no shortcuts"] == "lower"
    assert families.say_differences(frame, "it")[0].startswith(
        "resnet with no shortcuts is lower than it in accuracy: −33.4 points"
    )
    assert "with no shortcuts, it is lower than the whole network" in families.say_parts(frame, "resnet")


def test_a_part_whose_runs_failed_is_left_out(plan: Plan) -> None:
    specs = [spec for spec in grids.ablation(plan, "resnet") if spec.model.options != {"normalise": False}]
    assert list(families.ablation(plan, records(specs), "cnn")["part"]) == ["no shortcuts"]


def test_every_ablation_has_words() -> None:
    options = {f"{name}={value}" for choices in ABLATIONS.values() for one in choices for name, value in one.items()}
    assert options == set(comparisons.PARTS)


def test_other_families_are_held_against_this_one(plan: Plan) -> None:
    found = records(
        grids.accuracy(plan, models_=list(DECIDING.values())),
        lambda spec, y: (poorly if spec.model.name == "vit" else rightly)(spec, y),
    )
    frame = families.against_others(plan, found, "transformer")
    assert dict(zip(frame["model"], frame["verdict"], strict=True)) == dict.fromkeys(("mlp", "resnet", "bilstm"), "higher")
    said = "In accuracy, mlp is higher than vit, resnet is higher than vit, bilstm is higher than vit."
    assert families.say_rank(frame, "vit") == said
    assert set(families.against_others(plan, found, "ann").query("model == 'vit'")["verdict"]) == {"lower"}


@pytest.mark.parametrize("family", TRADITIONAL)
def test_a_family_has_its_own_finding(plan: Plan, family: str) -> None:
    found = records(families.needs(plan, family, model=DECIDING[family], curves=["mlp"]), poorly)
    finding = families.modern_finding(plan, found, family)
    assert finding in claims.modern_is_more_accurate(plan, found)
    assert finding.effect.startswith(f"{DECIDING[family]} − {TRADITIONAL[family]}")
    assert f"is {finding.verdict}" in families.say_short(finding)
    points = compare.say_points(finding.judged[0][1].interval)
    assert families.say_finding(finding).endswith(f"n = 2 runs × 500 test images: {finding.effect}: {points}.")


def test_a_finding_of_structure_alone_names_no_runs(plan: Plan) -> None:
    [finding] = claims.listings(plan, records(grids.cell(plan, "article")))
    said = families.say_finding(finding)
    assert said.endswith("is contradicted. Decided by architecture alone: the layers are Linear, ReLU, Dropout.")


def test_the_probe_is_tabled_by_distance(plan: Plan) -> None:
    found = records(grids.probe(plan), lambda spec, y: y if spec.dataset.options["distance"] == 6 else 1 - y)
    frame = families.by_distance(plan, found)
    assert sorted(zip(frame["model"], frame["distance"], strict=True)) == sorted((m, d) for m in DECIDING.values() for d in (6, 24))
    assert frame.groupby("distance")["estimate"].mean().to_dict() == {6: 1.0, 24: 0.0}
    without = Plan(plan.study.model_copy(update={"probe": None}), plan.effort)
    assert families.by_distance(without, found).empty


def test_a_level_comes_with_its_interval(plan: Plan) -> None:
    said = families.say_level(records(grids.cell(plan, "mlp"), poorly), "mlp")
    assert re.fullmatch(r"mlp has an accuracy of 0\.666 \[0\.\d{3}, 0\.\d{3}\], n = 2 runs × 500 test images\.", said)


def test_bullets_leave_out_what_is_empty() -> None:
    assert families.bullets(["a.", "", "b."]) == "* a.\n* b."
