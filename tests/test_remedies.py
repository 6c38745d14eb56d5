"""Tests of the registry of remedies: what each remedy changes, and what it leaves as in plain training."""

import numpy as np
import pytest
import torch

from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice
from imagestudy.remedies import COSINE_SCALE, Remedy, classical_remedies, remedies, remedy, require_classical
from imagestudy.remedies.base import TRIALS, Trial
from imagestudy.remedies.decoupling import Cosine
from imagestudy.remedies.posthoc import Adjustment

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
    "progressive_sampler",
    "drw",
    "drs",
    "ldam",
    "ldam_drw",
    "logit_adjusted_loss",
    "crt",
    "lws",
    "tau_norm",
    "ncm",
    "mixup",
    "remix",
    "mixup_drw",
    "label_aware_smoothing",
    "tail_cutmix",
    "seed_ensemble",
)
NETWORK_ONLY = {
    "focal": "a loss other than cross-entropy",
    "balanced_softmax": "a loss other than cross-entropy",
    "progressive_sampler": "training in steps",
    "drw": "a loss other than cross-entropy",
    "drs": "training in steps",
    "ldam": "a loss other than cross-entropy",
    "ldam_drw": "a loss other than cross-entropy",
    "logit_adjusted_loss": "a loss other than cross-entropy",
    "crt": "a head on learned features",
    "lws": "a head on learned features",
    "tau_norm": "a head on learned features",
    "ncm": "a head on learned features",
    "mixup": "images mixed batch by batch",
    "remix": "images mixed batch by batch",
    "mixup_drw": "a loss other than cross-entropy",
    "label_aware_smoothing": "a loss other than cross-entropy",
    "tail_cutmix": "images mixed batch by batch",
    "seed_ensemble": "several runs that differ in their seeds",
}
WITH_OWN_LOSS = [name for name in ALL if remedies.entry(name).facts["acts"].endswith("loss") and "class_" not in name]


def named(name, **options):
    return remedy(Choice(name=name, options=options))


def plan(found):
    return found.plan(LABELS, images_seen=1000, batch=16, rng=np.random.default_rng(0))


def losses_of(found, counts=COUNTS):
    """Return the losses of 32 images early and late in training."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(32, 4, generator=generator)
    labels = torch.randint(4, (32,), generator=generator)
    return torch.stack([found.loss(counts)(logits, labels, progress) for progress in (0.0, 0.9)]).tolist()


def test_every_row_of_the_table_is_registered():
    assert remedies.names() == ALL


@pytest.mark.parametrize("name", ALL)
def test_a_remedy_changes_exactly_what_its_fact_acts_says(name):
    found, plain = named(name), Remedy()
    changed = {
        "data": not np.array_equal(plan(found), plan(plain)) or found.mixing is not None,
        "head": found.head != plain.head,
        "loss": losses_of(found) != losses_of(plain),
        "posthoc": (found.posthoc, found.members) != (plain.posthoc, plain.members),
        "tuning": found.trials != plain.trials,
    }
    acts = remedies.entry(name).facts["acts"]
    assert " and ".join(where for where, is_changed in changed.items() if is_changed) == acts.replace("nowhere", "")


@pytest.mark.parametrize("name", ALL)
def test_derived_remedies_are_exactly_the_posthoc_remedies(name):
    facts = remedies.entry(name).facts
    assert facts.get("derived_from") == ("none" if facts["acts"] == "posthoc" else None)
    assert facts["title"]


def test_titles_are_unique():
    titles = [remedies.entry(name).facts["title"] for name in ALL]
    assert len(set(titles)) == len(titles)
    assert titles[:2] == ["plain training", "plain training, tuned"]


def test_defaults_are_the_published_ones():
    assert named("focal") == named("focal", gamma=2.0)
    assert (
        losses_of(named("class_balanced"))
        == losses_of(named("class_balanced", beta=0.9999))
        != losses_of(named("class_balanced", beta=0.9))
    )
    assert named("logit_adjustment").posthoc == Adjustment(1.0)
    assert named("logit_adjustment_tuned").posthoc == Adjustment(None)
    assert named("ldam") == named("ldam", margin=0.5)
    assert losses_of(named("drw")) == losses_of(named("drw", after=0.8, beta=0.9999)) != losses_of(named("drw", after=0.95))
    assert np.array_equal(plan(named("drs")), plan(named("drs", after=0.8)))
    assert named("logit_adjusted_loss") == named("logit_adjusted_loss", tau=1.0)
    assert named("mixup") == named("mixup", alpha=1.0)
    assert named("remix") == named("remix", alpha=1.0, ratio=3.0, threshold=0.5)
    assert named("label_aware_smoothing") == named("label_aware_smoothing", head=0.3, tail=0.0)
    assert named("tail_cutmix") == named("tail_cutmix", probability=0.5)
    assert named("seed_ensemble") == named("seed_ensemble", members=3)
    assert (named("crt").head.share, named("lws").head.share) == (0.15, 0.15)
    assert len(named("tau_norm").head.taus) == 21


def test_balanced_softmax_is_the_logit_adjusted_loss_at_its_default_strength():
    assert named("balanced_softmax") == named("logit_adjusted_loss")


def test_the_margin_loss_has_the_scale_of_the_head():
    assert named("ldam").head == named("ldam_drw").head == Cosine(COSINE_SCALE)
    assert named("ldam").criterion.scale == COSINE_SCALE == 30


@pytest.mark.parametrize("name", [name for name in ALL if named(name).posthoc is None and named(name).members == 1])
def test_uniform_counts_turn_remedies_that_only_balance_into_plain_training(name):
    """Schedule and loss equal those of plain training, except for remedies that change balanced data too."""
    uniform = np.full(4, 40)
    labels = np.repeat(np.arange(4), uniform)
    found, plain = named(name), Remedy()
    schedules = [r.plan(labels, images_seen=1000, batch=16, rng=np.random.default_rng(0)) for r in (found, plain)]
    losses = np.array([losses_of(r, uniform) for r in (found, plain)])
    drawn = ("square_root_sampler", "balanced_sampler", "progressive_sampler", "drs")
    assert (not np.array_equal(*schedules)) == (name in drawn)
    assert np.allclose(losses[0], losses[1], rtol=1e-6) == (name not in ("focal", "ldam", "ldam_drw", "label_aware_smoothing"))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("class_balanced", {"beta": 1.0}, "remedy 'class_balanced', beta: 1.0 was given in cell 3; input should be less than 1"),
        ("focal", {"gamma": -1.0}, "remedy 'focal', gamma: -1.0 was given in cell 3; input should be greater than or equal to 0"),
        ("focal", {"alpha": 0.5}, "unknown key 'alpha' of remedy 'focal' in cell 3"),
        ("mixup", {"alpha": 0.0}, "remedy 'mixup', alpha: 0.0 was given in cell 3; input should be greater than 0"),
        ("remix", {"ratio": 0.5}, "remedy 'remix', ratio: 0.5 was given in cell 3; input should be greater than or equal to 1"),
        ("drw", {"after": 1.5}, "remedy 'drw', after: 1.5 was given in cell 3; input should be less than or equal to 1"),
        ("crt", {"share": 1.0}, "remedy 'crt', share: 1.0 was given in cell 3; input should be less than 1"),
        ("lws", {"share": 0.0}, "remedy 'lws', share: 0.0 was given in cell 3; input should be greater than 0"),
        ("ldam", {"margin": -0.1}, "remedy 'ldam', margin: -0.1 was given in cell 3"),
        ("label_aware_smoothing", {"head": 1.0}, "remedy 'label_aware_smoothing', head: 1.0 was given in cell 3"),
        ("tail_cutmix", {"probability": 1.1}, "remedy 'tail_cutmix', probability: 1.1 was given in cell 3"),
        ("seed_ensemble", {"members": 1}, "remedy 'seed_ensemble', members: 1 was given in cell 3"),
        ("logit_adjustment", {"tau": float("nan")}, "remedy 'logit_adjustment', tau: nan was given"),
        ("class_weigths", {}, "unknown remedy 'class_weigths' in cell 3; allowed: none, tuned.*did you mean 'class_weights'"),
    ],
)
def test_wrong_names_and_options_give_a_clear_error(name, options, message):
    with pytest.raises(InputError, match=message):
        remedy(Choice(name=name, options=options), where="cell 3")


def test_classical_models_support_all_remedies_without_a_network_only_feature():
    assert classical_remedies() == tuple(name for name in ALL if name not in NETWORK_ONLY)
    assert {name: named(name).needs for name in ALL if named(name).needs} == NETWORK_ONLY


@pytest.mark.parametrize("name", NETWORK_ONLY)
def test_the_error_for_a_classical_model_says_what_the_remedy_needs_and_which_are_allowed(name):
    with pytest.raises(InputError) as caught:
        require_classical(Choice(name=name), where="study x")
    assert str(caught.value) == (
        f"remedy '{name}' in study x needs {NETWORK_ONLY[name]}, which classical models do not support; allowed: none, tuned, "
        "under_sampling, over_sampling, square_root_sampler, balanced_sampler, class_weights, class_balanced, logit_adjustment, "
        "logit_adjustment_tuned"
    )


@pytest.mark.parametrize("name", WITH_OWN_LOSS)
def test_another_loss_cannot_be_expressed_as_class_weights(name):
    with pytest.raises(InputError, match=r"^the loss \w+ cannot be expressed as class weights$"):
        named(name).sample_weights(COUNTS)


@pytest.mark.parametrize("name", [name for name in ALL if name not in NETWORK_ONLY])
def test_remedies_change_the_images_and_weights_of_a_classical_model(name):
    found = require_classical(Choice(name=name))
    weights = found.sample_weights(COUNTS)
    indices = found.resample(LABELS, rng=np.random.default_rng(0))
    assert (weights is not None) == (name in ("class_weights", "class_balanced"))
    assert (not np.array_equal(indices, np.arange(len(LABELS)))) == (remedies.entry(name).facts["acts"] == "data")
    if weights is not None:
        assert COUNTS @ weights == pytest.approx(COUNTS.sum())
        assert np.all(np.diff(weights) > 0)


def test_tuning_compares_eight_different_settings_with_the_recipe_first():
    assert named("tuned").trials == TRIALS
    assert len(set(TRIALS)) == len(TRIALS) == 8
    assert TRIALS[0] == Trial(learning_rate_factor=1.0, weight_decay=None)
    assert named("tuned", trials=3).trials == TRIALS[:3]
    for number in (0, 9):
        with pytest.raises(InputError, match=f"remedy 'tuned', trials: {number} was given"):
            named("tuned", trials=number)
