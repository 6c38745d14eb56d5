"""The training recipe: the best learning rate on validation, and longer training, on hand-made records."""

from pathlib import Path

import numpy as np
import pytest

from imagestudy.analysis.accuracy import learning_rates
from imagestudy.core.errors import InputError
from imagestudy.experiments import grids
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Record, Records, labels_key
from imagestudy.experiments.versions import stamp
from imagestudy.figures import tables
from imagestudy.training import LEARNING_RATE

STUDY = """\
dataset: digits
models: [mlp, svm]
profiles: [{name: exponential, ratio: 50}]
efforts: {smoke: {runs: 1}, default: {runs: 2}, full: {runs: 2, recipes: 2%s}}
"""
HIGHEST = {"vit": 1e-3, "resnet": 3e-2}
"""The best learning rate of networks for which it is not 1e-2."""


def open_plan(folder: Path, effort: str = "full", *, rates: dict[str, float] | None = None, images: int | None = None) -> Plan:
    text = STUDY % (f", recipe_images: {images}" if images else "") + f"learning_rates: {rates or {}}\n"
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    return grids.open_study(str(folder / "mine.yaml"), effort)


def trials(plan: Plan) -> Records:
    """0.9 where the rate is the network's own best, 0.5 elsewhere; a tenth less under imbalance and at the second seed."""

    def score(spec) -> float:
        best = spec.training.learning_rate == HIGHEST.get(spec.model.name, 1e-2)
        return 0.5 + 0.4 * best - 0.1 * (spec.profile.name != "balanced") - 0.1 * (spec.seed % 2)

    specs = map(stamp, grids.recipes(plan))
    return Records(tuple(Record(spec, {}, {"balanced_accuracy": score(spec)}, {"seconds": 1.0}, {}) for spec in specs), {})


def test_a_row_is_the_mean_over_profiles_and_seeds(tmp_path: Path) -> None:
    plan = open_plan(tmp_path)
    frame, columns = learning_rates.rates(plan, trials(plan)).set_index("network"), ["0.001", "0.003", "0.01", "0.03"]
    assert frame.loc["vit", columns].tolist() == pytest.approx([0.8, 0.4, 0.4, 0.4])
    best = frame["highest at"].drop(learning_rates.MEAN).astype(float)
    assert best.to_dict() == {name: HIGHEST.get(name, 1e-2) for name in best.index}
    networks = len(frame) - 1
    expected = [0.4 + 0.4 * share / networks for share in (1, 0, networks - 2, 1)]
    assert frame.loc[learning_rates.MEAN, columns].tolist() == pytest.approx(expected)


def test_the_sentence_names_the_choice_and_who_differs(tmp_path: Path) -> None:
    plan = open_plan(tmp_path)
    frame = learning_rates.rates(plan, trials(plan))
    assert learning_rates.prefer(frame) == LEARNING_RATE == 1e-2
    assert learning_rates.say(plan, frame) == (
        "The mean validation score of all networks is highest at a learning rate of 0.01, which is the rate of the recipe. "
        "Networks with another best rate: resnet at 0.03, vit at 0.001."
    )
    frame.loc[len(frame) - 1, "highest at"] = "0.003"
    assert "highest at a learning rate of 0.003, but the recipe has 0.01" in learning_rates.say(plan, frame)


def test_the_table_has_a_column_for_each_rate(tmp_path: Path) -> None:
    plan = open_plan(tmp_path)
    shown = tables.show(learning_rates.rates(plan, trials(plan))).data
    assert all(f">{rate:g}</th>" in shown for rate in grids.RATES)
    assert ">0.800</td>" in shown


def test_an_effort_that_tries_nothing_says_so(tmp_path: Path) -> None:
    plan = open_plan(tmp_path, "default")
    frame = learning_rates.rates(plan, Records((), {}))
    assert frame.empty
    assert learning_rates.prefer(frame) is None
    assert learning_rates.say(plan, frame) == (
        "The recipe has a learning rate of 0.01. This effort tries no other rates; effort full does."
    )
    assert tables.show(frame).data == ""


def test_a_study_may_give_each_network_its_own_rate_and_the_sentence_holds_it_to_the_trials(tmp_path: Path) -> None:
    own = {"vit": 0.001, "resnet": 0.03}
    plan = open_plan(tmp_path, rates=own)
    frame = learning_rates.rates(plan, trials(plan))
    opening = (
        "Networks have their own learning rates. After 40,000 images seen, the validation score is highest at their own rate for "
    )
    assert learning_rates.say(plan, frame) == f"{opening}all of them."
    plan = open_plan(tmp_path, rates=own | {"mlp": 0.003})
    assert learning_rates.say(plan, frame) == (
        f"{opening}resnet, vit, but not for mlp at 0.003 (highest at 0.01, 40.0 points higher)."
    )


def test_trials_have_their_own_budget_where_the_effort_names_one(tmp_path: Path) -> None:
    whole, part = open_plan(tmp_path), open_plan(tmp_path, images=1_280)
    assert {spec.training.images_seen for spec in grids.recipes(whole)} == {40_000}
    assert {spec.training.images_seen for spec in grids.recipes(part)} == {1_280}
    assert grids.accuracy(whole) == grids.accuracy(part)


LONGER = """\
dataset: digits
models: [svm, mlp, vit]
training: {images_seen: 10_000}
efforts: {smoke: {runs: 1}, default: {runs: 4, longer: [%s]}, full: {runs: 4}}
"""
RIGHT = {("mlp", 10_000): 300, ("vit", 10_000): 280, ("mlp", 30_000): 301, ("vit", 30_000): 360}
"""How many of 400 test images each network classifies correctly after so many images seen, in every run."""


def open_longer(folder: Path, *, longer: str = "mlp, vit", effort: str = "default") -> Plan:
    (folder / "longer.yaml").write_text(LONGER % longer, encoding="utf-8")
    return grids.open_study(str(folder / "longer.yaml"), effort)


def scored(plan: Plan, specs: list) -> Records:
    """Return runs that classify the first images of each of ten classes correctly, and predict the next class for the rest."""
    labels = np.arange(400) % 10
    made = []
    for spec in map(stamp, specs):
        right = np.arange(400) < RIGHT[spec.model.name, spec.training.images_seen]
        made.append(Record(spec, {}, {}, {"seconds": 1.0}, {"counts": [40] * 10}, {"missed": np.where(right, 0, 9)}))
    return Records(tuple(made), {labels_key(plan.study.dataset): {"test": labels}})


def lengthened(plan: Plan):
    before = grids.accuracy(plan, models_=plan.effort.accuracy.longer)
    return learning_rates.lengthen(plan, scored(plan, before), scored(plan, grids.longer(plan)), score="accuracy")


def test_longer_training_differs_in_nothing_but_the_images_seen(tmp_path: Path) -> None:
    plan = open_longer(tmp_path)
    shorter = [
        spec.with_(training=spec.training.model_copy(update={"images_seen": spec.training.images_seen // grids.LONGER}))
        for spec in grids.longer(plan)
    ]
    assert shorter == grids.accuracy(plan, models_=["mlp", "vit"])
    assert {spec.training.images_seen for spec in grids.longer(plan)} == {30_000}


def test_a_gain_is_longer_minus_shorter_and_the_order_is_told(tmp_path: Path) -> None:
    plan = open_longer(tmp_path)
    frame = lengthened(plan)
    assert frame["model"].tolist() == ["vit", "mlp"]
    assert frame["budget"].tolist() == pytest.approx([0.7, 0.75])
    assert frame["longer"].tolist() == pytest.approx([0.9, 0.7525])
    assert frame["difference"].tolist() == pytest.approx([0.2, 0.0025])
    assert frame["comparisons"].tolist() == [2, 2]
    said = learning_rates.say_longer(plan, frame)
    assert said.startswith("Verdicts on 30,000 images seen instead of 10,000: higher for vit; ")
    assert said.endswith(
        "The order of their mean scores changes from mlp, vit to vit, mlp. n = 4 runs × 400 test images, "
        "corrected for 2 comparisons."
    )


def test_one_network_has_no_order_and_none_is_said_to_be_none(tmp_path: Path) -> None:
    plan = open_longer(tmp_path, longer="vit")
    assert learning_rates.say_longer(plan, lengthened(plan)) == (
        "Verdicts on 30,000 images seen instead of 10,000: higher for vit. n = 4 runs × 400 test images."
    )
    plan = open_longer(tmp_path, effort="full")
    frame = learning_rates.lengthen(plan, Records((), {}), Records((), {}), score="accuracy")
    assert learning_rates.say_longer(plan, frame) == "This effort trains no network longer than the others."
    assert tables.show(frame).data == ""


@pytest.mark.parametrize("name", ["svm", "resnet"])
def test_only_networks_of_the_study_are_trained_longer(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"unknown network under 'longer' {name!r} in study .*; allowed: mlp, vit"):
        open_longer(tmp_path, longer=name)
