"""Tests of remedies that change the head after the features have been learned: settings, fixed features, changed heads."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sklearn.neighbors import NearestCentroid
from torch import Tensor

from imagestudy import data
from imagestudy.core.errors import InputError
from imagestudy.core.seeding import generator
from imagestudy.core.specs import Choice, ModelSpec, ProfileSpec, RunSpec, TrainingSpec
from imagestudy.metrics import classification
from imagestudy.remedies import remedies, remedy
from imagestudy.remedies.decoupling import ClassMeans, Features, HeadRemedy, Normalization, Retraining
from imagestudy.remedies.heads import CosineHead, SavedHead, ScaledHead, normalized
from imagestudy.remedies.sampling import ClassSampler, Epochs, Sampling, power_shares
from imagestudy.training import TorchLearner, make_learner

MODELS = ("mlp", "lenet", "resnet", "bilstm", "vit", "crnn")
STEPS, LATE = 20, 3


def run(model: str = "mlp", name: str = "none", *, steps: int = STEPS, **training: object) -> RunSpec:
    return RunSpec(
        dataset=Choice(name="digits"),
        model=ModelSpec(name=model),
        profile=ProfileSpec(name="exponential", ratio=20.0),
        remedy=Choice(name=name),
        training=TrainingSpec(images_seen=64 * steps, **training),
    )


@lru_cache
def prepared() -> data.Prepared:
    return data.prepare(run())


@lru_cache
def fitted(spec_key: str) -> TorchLearner:
    spec, given = RunSpec.model_validate_json(spec_key), prepared()
    watch = (given.validation.images, given.validation.labels)
    return make_learner(spec, classes=10, watch=watch, points=0).fit(given.train.images, given.train.labels)  # type: ignore[return-value]


def trained(*args: str, **fields: object) -> TorchLearner:
    return fitted(run(*args, **fields).key())  # type: ignore[arg-type]


def state(learner: TorchLearner, *, head: bool) -> dict[str, Tensor]:
    """Return the parameters and running statistics of the head, or of everything before it."""
    return {name: value for name, value in learner.network.state_dict().items() if name.startswith("head.") == head}


def assert_same_features(one: TorchLearner, other: TorchLearner) -> None:
    first, second = state(one, head=False), state(other, head=False)
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def pooled(learner: TorchLearner, images: np.ndarray) -> np.ndarray:
    """Return pooled features, computed by hand in evaluation mode and in one batch."""
    network = learner.network.eval()
    pixels = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float() / 255
    with torch.no_grad():
        return network.pool(network.features((pixels - learner.mean) / learner.deviation)).double().numpy()


@dataclass
class Learned:
    """Learned features whose training and validation images are the same."""

    head: torch.nn.Linear
    shown: Features

    @property
    def classes(self) -> int:
        return self.head.out_features

    def new_head(self) -> torch.nn.Module:
        raise AssertionError("no new head is needed")

    def train_head(self, head: torch.nn.Module, sampling: Sampling) -> None:  # noqa: ARG002
        raise AssertionError("no training is needed")

    def training_features(self) -> Features:
        return self.shown

    def validation_features(self) -> Features:
        return self.shown


class TestRetraining:
    @pytest.mark.parametrize(("total", "late"), [(625, 94), (40, 6), (20, 3), (10, 2), (4, 1), (3, 1), (2, 1)])
    def test_the_head_gets_its_share_of_the_steps_and_both_parts_get_at_least_one(self, total: int, late: int) -> None:
        assert Retraining("head", 0.15).steps(total) == late
        assert Retraining("head", 0.999).steps(total) == total - 1

    @pytest.mark.parametrize("total", [0, 1])
    def test_fewer_than_two_steps_are_refused(self, total: int) -> None:
        with pytest.raises(InputError, match=f"^training steps: {total} was given; at least 2 are needed"):
            Retraining("head").steps(total)

    def test_the_learner_refuses_a_single_step_too(self) -> None:
        with pytest.raises(InputError, match="training steps: 1 was given"):
            make_learner(run(name="crt", steps=1), classes=10).fit(prepared().train.images, prepared().train.labels)

    @pytest.mark.parametrize("name", ["crt", "lws"])
    def test_the_head_is_trained_on_equally_likely_classes(self, name: str) -> None:
        found = remedy(Choice(name=name)).head
        assert isinstance(found, Retraining)
        assert isinstance(found.sampling, ClassSampler)
        shares = found.sampling.shares(np.array([90, 7, 2]), np.array([0.0, 0.9]))
        np.testing.assert_allclose(shares, 1 / 3)


class TestFeaturesStay:
    @pytest.mark.parametrize("name", ["crt", "lws"])
    @pytest.mark.parametrize("model", MODELS)
    def test_features_and_running_statistics_equal_those_after_the_first_steps_bit_for_bit(self, model: str, name: str) -> None:
        assert_same_features(trained(model, name), trained(model, steps=STEPS - LATE))

    @pytest.mark.parametrize("name", ["tau_norm", "ncm"])
    @pytest.mark.parametrize("model", MODELS)
    def test_a_head_without_training_leaves_the_features_of_the_whole_budget(self, model: str, name: str) -> None:
        assert_same_features(trained(model, name), trained(model))

    def test_another_length_of_the_first_stage_gives_other_features(self) -> None:
        one, other = (state(trained("resnet", steps=steps), head=False) for steps in (STEPS - LATE, STEPS))
        assert any(not torch.equal(one[name], other[name]) for name in one if name.endswith("running_mean"))

    def test_the_second_stage_computes_features_without_dropout_or_batch_statistics(self, monkeypatch: pytest.MonkeyPatch) -> None:
        modes: list[tuple[bool, bool]] = []
        frozen = TorchLearner._frozen_logits

        def note(self: TorchLearner, images: Tensor) -> Tensor:
            logits = frozen(self, images)
            modes.append((self.network.features.training, logits.requires_grad))
            return logits

        monkeypatch.setattr(TorchLearner, "_frozen_logits", note)
        given = prepared()
        watch = (given.validation.images, given.validation.labels)
        make_learner(run("mlp", "crt"), classes=10, watch=watch).fit(given.train.images, given.train.labels)
        assert modes == [(False, True)] * LATE


class TestClassifierRetraining:
    @pytest.mark.parametrize("model", MODELS)
    def test_the_head_is_a_new_one(self, model: str) -> None:
        new, old = state(trained(model, "crt"), head=True), state(trained(model, steps=STEPS - LATE), head=True)
        assert new.keys() == old.keys() == {"head.weight", "head.bias"}
        assert (new["head.weight"] - old["head.weight"]).abs().max() > 0.1

    @pytest.mark.parametrize("model", ["mlp", "perceptron", "vit"])
    def test_it_starts_from_new_random_weights(self, model: str) -> None:
        """With a tiny learning rate, a head keeps its initial weights: as large as the original head's, but different."""
        first, second = (trained(model, name, learning_rate=1e-9).network.head for name in ("none", "crt"))
        cosine = torch.nn.functional.cosine_similarity(first.weight.flatten(), second.weight.flatten(), dim=0)
        assert cosine.abs() < 0.25
        assert (first.weight.std() / second.weight.std()).item() == pytest.approx(1, abs=0.15)

    @pytest.mark.parametrize("name", ["crt", "lws"])
    def test_plain_epochs_come_first_then_the_balanced_sampler(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[np.ndarray] = []
        batches = TorchLearner._batches
        monkeypatch.setattr(TorchLearner, "_batches", lambda *given: seen.append(given[3]) or batches(*given))
        train = prepared().train
        make_learner(run("mlp", name), classes=10, points=0).fit(train.images, train.labels)
        order = generator(0, "batches")
        first = Epochs().plan(train.labels, images_seen=(STEPS - LATE) * 64, batch=64, rng=order)
        balanced = ClassSampler(power_shares(0.0)).plan(train.labels, images_seen=LATE * 64, batch=64, rng=order)
        assert len(seen) == 2
        assert np.array_equal(seen[0], first)
        assert np.array_equal(seen[1], balanced)


class TestLearnedScales:
    @pytest.mark.parametrize("model", MODELS)
    def test_the_inner_head_is_unchanged_bit_for_bit_and_the_factors_have_changed(self, model: str) -> None:
        head = trained(model, "lws").network.head
        old = trained(model, steps=STEPS - LATE).network.head
        assert isinstance(head, ScaledHead)
        assert torch.equal(head.head.weight, old.weight)
        assert torch.equal(head.head.bias, old.bias)
        assert (head.factors != 1).all()
        assert (head.factors - 1).abs().max() < 0.1

    def test_with_a_tiny_learning_rate_it_predicts_the_same_as_the_old_head(self) -> None:
        images = prepared().validation.images
        found = trained("mlp", "lws", learning_rate=1e-9).predict_log_proba(images)
        old = trained("mlp", steps=STEPS - LATE, learning_rate=1e-9).predict_log_proba(images)
        np.testing.assert_allclose(found, old, atol=1e-5)


class TestTauNormalization:
    @pytest.mark.parametrize("model", MODELS)
    def test_the_exponent_is_best_on_validation_among_all(self, model: str) -> None:
        plain, found = trained(model), trained(model, "tau_norm")
        shown, labels = prepared().validation.images, prepared().validation.labels
        features, weight = pooled(plain, shown), plain.network.head.weight.detach().double().numpy()
        lengths = np.linalg.norm(weight, axis=1)
        scores = [
            classification.balanced_accuracy((features @ (weight.T / lengths**tau)).argmax(axis=1), labels, classes=10)
            for tau in Normalization().taus
        ]
        predicted = classification.balanced_accuracy(found.predict_log_proba(shown).argmax(axis=1), labels, classes=10)
        assert predicted == pytest.approx(max(scores), abs=2 / len(labels))
        tau = found.chosen["norm_tau"]
        assert tau in Normalization().taus
        assert scores[Normalization().taus.index(tau)] == pytest.approx(max(scores), abs=2 / len(labels))
        torch.testing.assert_close(found.network.head.weight, normalized(plain.network.head, tau=tau).weight)

    def test_the_exponents_are_the_21_points_from_0_to_2(self) -> None:
        np.testing.assert_allclose(Normalization().taus, np.linspace(0, 2, 21))

    def test_of_a_plateau_the_middle_is_chosen(self) -> None:
        head = torch.nn.Linear(2, 2)
        with torch.no_grad():
            head.weight.copy_(torch.tensor([[4.0, 0.0], [0.0, 1.0]]))
        watched = torch.tensor(
            [[1.0, 0.1], [0.1, 1.0]]
        )  # correct for every exponent: 4^(1−τ) differs from 1 by less than a factor of 10
        made, chosen = Normalization((0.6, 0.8, 1.0, 1.2, 1.4)).apply(Learned(head, (watched, np.array([0, 1]))))
        assert chosen == {"norm_tau": 1.0}
        torch.testing.assert_close(made.weight, torch.eye(2))

    def test_a_class_without_a_validation_image_does_not_enter_the_score(self) -> None:
        head = torch.nn.Linear(2, 3)
        _, chosen = Normalization((0.0, 1.0, 2.0)).apply(Learned(head, (torch.randn(4, 2), np.array([0, 0, 1, 1]))))
        assert chosen["norm_tau"] in (0.0, 1.0, 2.0)


class TestNearestClassMean:
    @pytest.mark.parametrize("model", MODELS)
    def test_the_head_holds_the_directions_of_the_mean_features_of_the_training_images(self, model: str) -> None:
        head = trained(model, "ncm").network.head
        train = prepared().train
        features = pooled(trained(model), train.images)
        means = np.stack([features[train.labels == label].mean(axis=0) for label in range(10)])
        assert isinstance(head, CosineHead)
        expected = means / np.linalg.norm(means, axis=1, keepdims=True)
        np.testing.assert_allclose(head.weight.detach().numpy(), expected, atol=2e-5)

    @pytest.mark.filterwarnings("ignore:self.within_class_std_dev_")
    @pytest.mark.parametrize("model", MODELS)
    def test_it_predicts_the_same_as_scikit_learns_nearest_centroid_on_the_unit_sphere(self, model: str) -> None:
        """‖x − m‖² = 2 − 2 cos(x, m) for unit vectors; dividing features by the norm of their class mean gives unit class means."""
        train, shown = prepared().train, pooled(trained(model), prepared().validation.images)
        features = pooled(trained(model), train.images)
        lengths = np.array([np.linalg.norm(features[train.labels == label].mean(axis=0)) for label in range(10)])
        theirs = NearestCentroid().fit(features / lengths[train.labels][:, None], train.labels)
        expected = theirs.predict(shown / np.linalg.norm(shown, axis=1, keepdims=True))
        ours = trained(model, "ncm").predict_log_proba(prepared().validation.images).argmax(axis=1)
        assert (expected != ours).mean() <= 0.005
        assert len(np.unique(ours)) > 1

    def test_the_scale_is_the_best_on_validation(self) -> None:
        found, part = trained("mlp", "ncm"), prepared().validation
        scale = found.chosen["cosine_scale"]
        predicted = found.predict_log_proba(part.images)
        cosines = predicted / scale  # up to a constant per image

        def loss(factor: float) -> float:
            return classification.nll(log_softmax(scale * factor * cosines, axis=1), part.labels)

        assert found.network.head.scale == scale
        assert loss(1) == pytest.approx(classification.nll(predicted, part.labels))
        assert all(loss(1) < loss(factor) for factor in (0.5, 0.9, 1.1, 2.0))

    def test_a_common_class_has_no_advantage_over_a_rare_one(self) -> None:
        features = torch.tensor([[1.0, 0.1]] * 90 + [[0.1, 1.0]] * 2)
        labels = np.repeat([0, 1], [90, 2])
        head, _ = ClassMeans().apply(Learned(torch.nn.Linear(2, 2), (features, labels)))
        assert head(torch.tensor([[1.0, 1.01], [1.01, 1.0]])).argmax(dim=1).tolist() == [1, 0]


@pytest.mark.parametrize("name", ["tau_norm", "ncm"])
def test_a_remedy_that_chooses_on_validation_images_is_refused_without_them(name: str) -> None:
    with pytest.raises(InputError, match=f"^remedy '{name}' needs validation images, and none were given; pass them as watch$"):
        make_learner(run(name=name, steps=2), classes=10).fit(prepared().train.images, prepared().train.labels)


class TestSavedHeads:
    @pytest.mark.parametrize("name", [name for name in remedies.names() if remedy(Choice(name=name)).head != HeadRemedy()])
    def test_a_restored_head_with_the_saved_weights_gives_the_same_logits_bit_for_bit(self, name: str) -> None:
        found, head_remedy = trained("mlp", name), remedy(Choice(name=name)).head
        head = found.network.head
        saved = head_remedy.save(head)
        made = head_remedy.restore(SavedHead.model_validate_json(saved.model_dump_json()), trained("mlp").network.head)
        assert head_remedy.save(made) == saved
        made.load_state_dict(head.state_dict())
        features = torch.as_tensor(pooled(found, prepared().validation.images)).float()
        assert torch.equal(made(features), head(features))

    @pytest.mark.parametrize("kind", ["conic", "cosine", "scaled"])
    def test_a_kind_that_the_remedy_does_not_make_is_refused(self, kind: str) -> None:
        for head_remedy in (HeadRemedy(), Normalization(), Retraining("head")):
            with pytest.raises(InputError, match=f"^a head of kind '{kind}' was given; this remedy makes 'linear'$"):
                head_remedy.restore(SavedHead(kind=kind, scale=2.0), torch.nn.Linear(3, 2))

    def test_a_cosine_head_is_not_restored_without_its_scale(self) -> None:
        with pytest.raises(InputError, match=r"^a cosine head needs its scale$"):
            ClassMeans().restore(SavedHead(kind="cosine"), torch.nn.Linear(3, 2))

    def test_a_head_of_another_class_is_never_saved_as_a_linear_one(self) -> None:
        class Squared(torch.nn.Linear):
            pass

        with pytest.raises(InputError, match=r"^a head of class Squared cannot be saved: its remedy must describe and restore it"):
            HeadRemedy().save(Squared(3, 2))
