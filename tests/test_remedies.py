"""Laws of the registry of remedies: what each name changes, and what it leaves plain."""

import numpy as np
import pytest
import torch

from imagestudy.errors import InputError
from imagestudy.remedies import Remedy, classical_remedies, remedies, remedy, require_classical
from imagestudy.remedies.posthoc import Adjustment
from imagestudy.remedies.tuning import TRIALS, Trial
from imagestudy.specs import Choice

COUNTS = np.array([90, 31, 7, 2])
LABELS = np.repeat(np.arange(4), COUNTS)
ALL = (
    "none",
    "tuned",
    "under_sampling",
    "over_sampling",
    "square_root_sampler",
    "balanced_sampler",
    "class_weights",
    "class_balanced",
    "focal",
    "balanced_softmax",
    "logit_adjustment",
    "logit_adjustment_tuned",
)
NEED_A_LOSS = ("focal", "balanced_softmax")


def named(name, **options):
    return remedy(Choice(name=name, options=options))


def plan(found):
    return found.plan(LABELS, images_seen=1000, batch=16, rng=np.random.default_rng(0))


def pay(found, counts=COUNTS):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(32, 4, generator=generator)
    return found.loss(counts)(logits, torch.randint(4, (32,), generator=generator), 0.0)


def test_the_first_twelve_rows_are_registered_in_the_order_of_the_table():
    assert remedies.names() == ALL


@pytest.mark.parametrize("name", ALL)
def test_a_remedy_changes_what_its_fact_says_and_nothing_else(name):
    found, plain = named(name), Remedy()
    changed = {
        "data": not np.array_equal(plan(found), plan(plain)),
        "loss": bool(pay(found) != pay(plain)),
        "posthoc": found.posthoc != plain.posthoc,
        "tuning": found.trials != plain.trials,
    }
    acts = remedies.entry(name).facts["acts"]
    assert [where for where, is_changed in changed.items() if is_changed] == [acts] * (acts != "nowhere")


@pytest.mark.parametrize("name", ALL)
def test_remedies_without_training_of_their_own_are_exactly_those_that_act_afterwards(name):
    facts = remedies.entry(name).facts
    assert facts.get("derived_from") == ("none" if facts["acts"] == "posthoc" else None)
    assert facts["title"]


def test_every_title_is_its_own():
    titles = [remedies.entry(name).facts["title"] for name in ALL]
    assert len(set(titles)) == len(titles)
    assert titles[:2] == ["none", "none, tuned"]


def test_defaults_are_the_published_ones():
    assert named("focal") == named("focal", gamma=2.0)
    assert pay(named("class_balanced")) == pay(named("class_balanced", beta=0.9999)) != pay(named("class_balanced", beta=0.9))
    assert named("logit_adjustment").posthoc == Adjustment(1.0)
    assert named("logit_adjustment_tuned").posthoc == Adjustment(None)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("class_balanced", {"beta": 1.0}, "remedy 'class_balanced', beta: 1.0 was given in cell 3; input should be less than 1"),
        ("focal", {"gamma": -1.0}, "remedy 'focal', gamma: -1.0 was given in cell 3; input should be greater than or equal to 0"),
        ("focal", {"alpha": 0.5}, "unknown key 'alpha' of remedy 'focal' in cell 3"),
        ("logit_adjustment", {"tau": float("nan")}, "remedy 'logit_adjustment', tau: nan was given"),
        ("class_weigths", {}, "unknown remedy 'class_weigths' in cell 3; allowed: none, tuned.*did you mean 'class_weights'"),
    ],
)
def test_wrong_names_and_options_are_refused_by_a_sentence(name, options, says):
    with pytest.raises(InputError, match=says):
        remedy(Choice(name=name, options=options), where="cell 3")


def test_classical_models_follow_all_remedies_but_those_that_need_a_loss_of_their_own():
    assert classical_remedies() == tuple(name for name in ALL if name not in NEED_A_LOSS)


@pytest.mark.parametrize("name", NEED_A_LOSS)
def test_a_classical_model_is_refused_a_loss_by_a_sentence_that_names_the_allowed(name):
    with pytest.raises(InputError, match=rf"remedy '{name}' changes the loss.* in study x; allowed: none, tuned, under_sampling"):
        require_classical(Choice(name=name), where="study x")
    with pytest.raises(InputError, match="cannot be said in class weights"):
        named(name).sample_weights(COUNTS)


@pytest.mark.parametrize("name", [name for name in ALL if name not in NEED_A_LOSS])
def test_what_a_classical_model_is_given_changes_with_the_remedies_that_act_before_it_is_fitted(name):
    found = require_classical(Choice(name=name))
    weights = found.sample_weights(COUNTS)
    indices = found.resample(LABELS, rng=np.random.default_rng(0))
    assert (weights is not None) == (name in ("class_weights", "class_balanced"))
    assert (not np.array_equal(indices, np.arange(len(LABELS)))) == (remedies.entry(name).facts["acts"] == "data")
    if weights is not None:
        assert COUNTS @ weights == pytest.approx(COUNTS.sum())
        assert np.all(np.diff(weights) > 0)


def test_tuning_tries_eight_different_settings_and_the_recipe_itself_first():
    assert named("tuned").trials == TRIALS
    assert len(set(TRIALS)) == len(TRIALS) == 8
    assert TRIALS[0] == Trial(learning_rate_factor=1.0, weight_decay=None)
    assert named("tuned", trials=3).trials == TRIALS[:3]
    for number in (0, 9):
        with pytest.raises(InputError, match=f"remedy 'tuned', trials: {number} was given"):
            named("tuned", trials=number)
