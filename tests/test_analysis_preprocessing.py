"""Preprocessing shown: pictures of the training pool alone, errors in the unit of the noise, choices made on validation."""

import numpy as np
import pandas as pd
import pytest

from imagestudy import data
from imagestudy.analysis import preprocessing
from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice
from imagestudy.data import datasets, splits
from imagestudy.experiments import grids
from imagestudy.experiments.grids import DECIDING, NOISE, STEPS, Plan
from imagestudy.experiments.records import Record, Records, labels_key
from imagestudy.experiments.versions import stamp

DIGITS = Choice(name="digits")
LABELS = np.repeat(np.arange(2), 20)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return grids.open_study("digits", "default")


def fake(plan: Plan) -> Records:
    """Records of the whole grid: the last setting of each kind is best on validation, and right on every test image."""
    records = []
    for spec in map(stamp, grids.preprocessing(plan)):
        steps = (*spec.preprocessing.steps, *spec.preprocessing.augment)
        last = [choices[: plan.effort.preprocessing.settings][-1] for choices in STEPS.values()]
        right = np.full(len(LABELS), not steps or steps[0] in last)
        right[spec.seed] = False
        said = np.log(np.where((right.astype(int) == LABELS)[:, None], [0.1, 0.9], [0.9, 0.1]))
        score = {"accuracy": float(right.mean()), "balanced_accuracy": float(right.mean())}
        records.append(Record(spec, score, score, {"seconds": 1.0}, {}, {"test": said.astype(np.float16)}))
    return Records(tuple(records), {labels_key(DIGITS): {"test": LABELS, "validation": LABELS}})


def test_the_parts_are_those_of_the_split(plan: Plan) -> None:
    parts = splits.split(datasets.load(DIGITS))
    assert list(preprocessing.describe_parts(plan)["images"]) == [len(parts.train), len(parts.validation), len(parts.test)]
    assert preprocessing.count_pool(plan).sum() == len(parts.train)


def test_pictures_come_from_the_pool_one_of_each_class_after_the_other(plan: Plan) -> None:
    picked = preprocessing.pick(plan, 23)
    assert list(picked.labels) == [*range(10), *range(10), 0, 1, 2]
    pool = {image.tobytes() for image in preprocessing.pool(plan).images}
    assert all(image.tobytes() in pool for image in picked.images)
    assert len({image.tobytes() for image in picked.images}) == 23


def test_all_of_the_pool_can_be_picked_and_no_more(plan: Plan) -> None:
    size = len(preprocessing.pool(plan).labels)
    assert len(preprocessing.pick(plan, size).labels) == size
    with pytest.raises(InputError, match=f"{size + 1} images .* allowed: 1 to {size}"):
        preprocessing.pick(plan, size + 1)


@pytest.mark.parametrize(
    ("examples", "seed", "message"), [(1, 0, "'examples'; allowed: 2 to 10"), (11, 0, "'examples'"), (2, -1, "'seed'")]
)
def test_what_is_not_allowed_is_refused_by_a_sentence(examples: int, seed: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        preprocessing.check_examples(examples, seed=seed)


def test_a_sigma_that_is_not_allowed_names_the_parameter() -> None:
    with pytest.raises(InputError, match=r"sigma: 1\.5 was given in parameter 'noise_sigma'"):
        preprocessing.noises(1.5)


def test_normalisation_is_exact_where_it_was_measured_and_near_elsewhere(plan: Plan) -> None:
    frame = preprocessing.measure_normalization(plan)
    train = data.prepare(grids.cell(plan, DECIDING["cnn"])[0]).train.images / 255
    assert frame["mean"][0] == pytest.approx(train.mean())
    assert frame["standard deviation"][0] == pytest.approx(train.std())
    assert list(frame.loc[0, ["mean after", "standard deviation after"]]) == [0.0, 1.0]
    np.testing.assert_allclose(frame.loc[1, ["mean after", "standard deviation after"]].astype(float), [0, 1], atol=0.05)


def test_errors_without_step_are_those_of_the_noise_and_zero_without_noise(plan: Plan) -> None:
    chosen = preprocessing.noises(0.0)
    errors = preprocessing.measure_errors(plan, chosen, seed=0)
    assert errors.loc[0, ["no noise", "Gaussian noise"]].tolist() == [0.0, 0.0]
    assert (errors.iloc[1:]["no noise"] > 0).all()
    assert errors["Gaussian noise"].tolist() == errors["no noise"].tolist()
    assert len(errors) == 1 + len(STEPS["filter"]) + len(STEPS["denoise"])


def test_errors_follow_from_the_seed_alone(plan: Plan) -> None:
    one, again, other = (preprocessing.measure_errors(plan, preprocessing.noises(0.2), seed=seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(one, again)
    assert not one.equals(other)


def test_the_sentence_names_the_best_step_and_those_without_gain() -> None:
    rows = [("", "none", 0.0, 0.3), ("filter", "median", 0.1, 0.2), ("denoise", "wavelet", 0.05, 0.35)]
    said = preprocessing.say_errors(pd.DataFrame(rows, columns=["kind", "step", "no noise", "impulse"]))
    assert said.splitlines()[0] == "- *impulse*: median is best, with an error of 0.200 instead of 0.300; no gain from: wavelet."
    assert "from 0.050 (wavelet) to 0.100 (median)" in said


def test_halves_have_a_white_gap_and_steps_do_not_touch_it(plan: Plan) -> None:
    clean = preprocessing.pick(plan, 3).images
    noisy = preprocessing.with_noises(clean, preprocessing.noises(0.3), seed=0)["Gaussian noise"]
    for title, images in preprocessing.steps_on_halves(clean, noisy, "contrast").items():
        assert (images[3] == 255).all()
        np.testing.assert_array_equal(images[4:], preprocessing.with_steps(noisy, "contrast")[title])


def test_augmentations_offer_only_flips_that_keep_the_class(plan: Plan) -> None:
    shown = preprocessing.with_augmentations(plan, preprocessing.pick(plan, 2).images, seed=0)
    assert list(shown) == ["shift", "rotation", "scaling", "all at once", "erasing"]


def test_every_setting_has_a_row_with_clean_and_noisy_images(plan: Plan) -> None:
    wide = preprocessing.set_side_by_side(preprocessing.summarize(fake(plan)))
    assert list(wide["kind"]) == ["no step", *(kind for kind in STEPS for _ in range(plan.effort.preprocessing.settings))]
    assert wide["setting"][0] == "no step"
    assert not (wide == "–").any(axis=None)


def test_the_setting_that_is_best_on_validation_is_the_one_counted(plan: Plan) -> None:
    choices = preprocessing.count_choices(plan, fake(plan))
    for row in choices.to_dict("records"):
        best = STEPS[row["kind"]][: plan.effort.preprocessing.settings][-1].label
        assert row["clean images"] == row["noisy images"] == f"{best} {plan.effort.runs}×"


def test_noise_that_costs_nothing_is_said_to_be_undecided_or_equivalent(plan: Plan) -> None:
    assert NOISE is preprocessing.STATES["noisy"]
    assert "+0.0 points" in preprocessing.say_noise(plan, fake(plan)) or " 0.0 points" in preprocessing.say_noise(plan, fake(plan))


def test_the_conclusion_takes_its_verbs_from_the_verdicts() -> None:
    rows = [
        ("A11 filter, clean", "equivalent", ""),
        ("A11 denoise, noisy", "supported", ""),
        ("A11 augment, noisy", "undecided", "about 3 more runs"),
    ]
    table = pd.DataFrame([{"claim": c, "verdict": v, "points": "+1.0 points [0.5, 1.5]", "would decide it": n} for c, v, n in rows])
    said = preprocessing.conclude(table)
    assert "*denoise, noisy images* helped" in said
    assert "*filter, clean images* made no difference" in said
    assert "about 3 more runs would decide it." in said
    assert "all helped" in preprocessing.conclude(table[1:2])
