"""The training loop: bit for bit the same for the same run, within its budget, and blind to what it must not see."""

from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from imagestudy import data, learners, metrics
from imagestudy.errors import InputError
from imagestudy.learners import (
    CURVE_POINTS,
    ClassicalLearner,
    DivergedError,
    Learner,
    TorchLearner,
    learning_rate_at,
    log_softmax,
    make_learner,
)
from imagestudy.models import Network, build, models
from imagestudy.remedies import classical_remedies, remedies, remedy
from imagestudy.seeding import make_torch_deterministic
from imagestudy.specs import Choice, ModelSpec, PreprocessingSpec, ProfileSpec, RunSpec, TrainingSpec

NEURAL = models.names(kind="neural")
CLASSICAL = models.names(kind="classical")
TRAINED = tuple(name for name in remedies.names() if remedy(Choice(name=name)).posthoc is None)


def run(model: str = "mlp", *, seen: int = 256, **fields: object) -> RunSpec:
    training = fields.pop("training", None) or TrainingSpec(images_seen=seen)
    return RunSpec(dataset=Choice(name="digits"), model=ModelSpec(name=model), training=training, **fields)


@lru_cache
def prepared(profile: ProfileSpec | None = None) -> data.Prepared:
    return data.prepare(run(profile=profile or ProfileSpec()))


def fitted(spec: RunSpec, *, watch: bool = False) -> TorchLearner | ClassicalLearner:
    given = prepared(spec.profile)
    watched = (given.validation.images, given.validation.labels) if watch else None
    return make_learner(spec, classes=10, watch=watched).fit(given.train.images, given.train.labels)


def said(spec: RunSpec, *, watch: bool = False) -> np.ndarray:
    return fitted(spec, watch=watch).predict_log_proba(prepared().validation.images)


def weights(network: Network) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def untrained(spec: RunSpec) -> Network:
    make_torch_deterministic(spec.seed_of("init"), "init", threads=1)
    return build(spec.model, shape=(1, 8, 8), classes=10)


class TestSameRunSameBits:
    @pytest.mark.parametrize("model", NEURAL + CLASSICAL)
    def test_equal_runs_say_the_same_bit_for_bit(self, model: str) -> None:
        first = said(run(model))
        torch.rand(3)
        np.testing.assert_array_equal(said(run(model)), first)

    @pytest.mark.parametrize("stream", ["seed", "init", "batches"])
    def test_another_seed_says_something_else(self, stream: str) -> None:
        assert not np.array_equal(said(run(**{stream: 1})), said(run()))

    def test_the_seeds_of_the_training_set_are_not_the_learners(self) -> None:
        np.testing.assert_array_equal(said(run(draw=1, order=1)), said(run()))

    @pytest.mark.parametrize("model", ["logistic", "svm"])
    def test_the_threads_around_a_classical_model_change_nothing(self, model: str) -> None:
        with threadpool_limits(1):
            one = said(run(model))
        with threadpool_limits(2):
            np.testing.assert_array_equal(said(run(model)), one)

    @pytest.mark.parametrize("model", ["mlp", "resnet", "bilstm", "logistic"])
    def test_watching_changes_no_bit_of_what_is_learned(self, model: str) -> None:
        alone, watched = fitted(run(model)), fitted(run(model), watch=True)
        images = prepared().validation.images
        if isinstance(alone, TorchLearner):
            assert torch.equal(weights(alone.network), weights(watched.network))
            np.testing.assert_array_equal(alone.predict_log_proba(images), watched.predict_log_proba(images))
        else:
            np.testing.assert_array_equal(alone.model.decision(images), watched.model.decision(images))


class TestBudget:
    @pytest.mark.parametrize("name", TRAINED)
    def test_every_remedy_sees_the_same_number_of_images(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[int] = []
        normalised = TorchLearner._normalised
        monkeypatch.setattr(TorchLearner, "_normalised", lambda self, batch: seen.append(len(batch)) or normalised(self, batch))
        fitted(run("article", seen=640, profile=ProfileSpec(name="exponential", ratio=20.0), remedy=Choice(name=name)))
        assert seen == [64] * 10

    def test_the_curve_ends_at_the_budget(self) -> None:
        curve = fitted(run("article", seen=64 * 50 + 1)).curve
        assert curve.shape == (CURVE_POINTS, 4)
        assert curve[-1, 0] == 64 * 50
        assert (np.diff(curve[:, 0]) > 0).all()

    def test_a_short_training_has_a_point_a_step(self) -> None:
        assert fitted(run("article", seen=192)).curve[:, 0].tolist() == [64, 128, 192]

    def test_a_classical_model_has_no_curve(self) -> None:
        assert fitted(run("logistic")).curve.shape == (0, 4)

    def test_only_a_watched_training_has_scores_of_the_watched_images(self) -> None:
        assert np.isnan(fitted(run("article")).curve[:, 3]).all()
        watched = fitted(run("article"), watch=True)
        predicted = watched.predict_log_proba(prepared().validation.images).argmax(axis=1)
        assert watched.curve[-1, 3] == metrics.balanced_accuracy(predicted, prepared().validation.labels, classes=10)

    def test_a_budget_below_one_batch_is_refused(self) -> None:
        with pytest.raises(InputError, match="does not fill one batch of 64"):
            fitted(run(seen=63))

    @pytest.mark.parametrize("model", ["resnet", "vit"])
    def test_a_batch_of_one_image_serves(self, model: str) -> None:
        assert np.isfinite(said(run(model, training=TrainingSpec(images_seen=3, batch=1)))).all()


class TestRecipe:
    @pytest.mark.parametrize("steps", [10, 40, 625])
    def test_the_learning_rate_warms_up_and_falls_to_zero(self, steps: int) -> None:
        shares = [learning_rate_at(step, steps) for step in range(steps)]
        warm = round(learners.WARM_UP * steps)
        assert shares[:warm] == pytest.approx([(step + 1) / warm for step in range(warm)])
        assert shares[warm - 1] == max(shares) == 1
        assert all(later <= earlier for earlier, later in pairwise(shares[warm - 1 :]))
        assert learning_rate_at(steps, steps) == pytest.approx(0, abs=1e-12)
        assert shares[-1] > 0

    def test_a_training_of_one_step_takes_it_whole(self) -> None:
        assert learning_rate_at(0, 1) == 1

    @pytest.mark.parametrize("model", NEURAL)
    def test_every_parameter_is_in_one_group_and_vectors_do_not_decay(self, model: str) -> None:
        network = untrained(run(model))
        decaying, others = learners._parameter_groups(network, 0.5)
        assert (decaying["weight_decay"], others["weight_decay"]) == (0.5, 0.0)
        ids = [id(p) for group in (decaying, others) for p in group["params"]]
        assert sorted(ids) == sorted(id(p) for p in network.parameters())
        assert all(p.ndim >= 2 for p in decaying["params"])
        assert {id(network.head.weight)} <= {id(p) for p in decaying["params"]}

    def test_a_marked_parameter_does_not_decay(self) -> None:
        network = untrained(run())
        network.head.weight.no_decay = True
        assert id(network.head.weight) in {id(p) for p in learners._parameter_groups(network, 0.5)[1]["params"]}

    @pytest.mark.parametrize("model", ["mlp", "bilstm", "vit"])
    def test_a_tiny_learning_rate_barely_moves_the_weights(self, model: str) -> None:
        spec = run(model, training=TrainingSpec(images_seen=256, learning_rate=1e-9))
        moved = weights(fitted(spec).network) - weights(untrained(spec))
        assert 0 < moved.abs().max() < 1e-7

    def test_weight_decay_shrinks_the_weights(self) -> None:
        plain, shrunk = (run(training=TrainingSpec(images_seen=256, weight_decay=decay)) for decay in (0.0, 20.0))
        assert weights(fitted(shrunk).network).norm() < weights(fitted(plain).network).norm()

    @pytest.mark.parametrize("model", ["article", "resnet"])
    def test_an_absurd_learning_rate_is_an_error_that_names_the_loss(self, model: str) -> None:
        with pytest.raises(DivergedError, match=r"^the loss was (nan|inf) after \d+ images$"):
            fitted(run(model, seen=640, training=TrainingSpec(images_seen=640, learning_rate=1e30)))

    def test_half_precision_is_another_run_that_also_serves(self) -> None:
        half = said(run(training=TrainingSpec(images_seen=256, dtype="bfloat16")))
        assert np.isfinite(half).all()
        assert not np.array_equal(half, said(run()))


class TestNormalisation:
    def test_it_is_measured_on_the_training_images_alone(self) -> None:
        train = prepared().train.images / 255
        learner = fitted(run("article"), watch=True)
        np.testing.assert_allclose(learner.mean.flatten(), train.mean(axis=(0, 1, 2)), rtol=1e-6)
        np.testing.assert_allclose(learner.deviation.flatten(), train.std(axis=(0, 1, 2)), rtol=1e-6)

    def test_training_images_leave_it_with_mean_0_and_deviation_1(self) -> None:
        learner = fitted(run("article"))
        images = torch.from_numpy(prepared().train.images.transpose(0, 3, 1, 2)).float() / 255
        normalised = learner._normalised(images)
        assert normalised.mean().item() == pytest.approx(0, abs=1e-5)
        assert normalised.std(correction=0).item() == pytest.approx(1, abs=1e-5)

    def test_images_of_one_grey_value_do_not_break_it(self) -> None:
        labels = np.arange(64) % 2
        learner = make_learner(run(), classes=2).fit(np.full((64, 8, 8, 1), 9, np.uint8), labels)
        assert np.isfinite(learner.predict_log_proba(np.zeros((1, 8, 8, 1), np.uint8))).all()

    def test_each_channel_has_its_own(self) -> None:
        rng = np.random.default_rng(0)
        images = (rng.random((64, 8, 8, 3)) * [50, 100, 200]).astype(np.uint8)
        learner = make_learner(run("lenet"), classes=2).fit(images, np.arange(64) % 2)
        np.testing.assert_allclose(learner.mean.flatten(), images.mean(axis=(0, 1, 2)) / 255, rtol=1e-6)


class TestAugmentation:
    SHIFTED = PreprocessingSpec(augment=(Choice(name="shift", options={"fraction": 0.25}),))

    def test_it_changes_what_is_learned_the_same_way_each_time(self) -> None:
        on = said(run(preprocessing=self.SHIFTED))
        assert not np.array_equal(on, said(run()))
        np.testing.assert_array_equal(said(run(preprocessing=self.SHIFTED)), on)

    def test_one_that_does_nothing_changes_nothing(self) -> None:
        still = PreprocessingSpec(augment=(Choice(name="shift", options={"fraction": 0.0}),))
        np.testing.assert_array_equal(said(run(preprocessing=still)), said(run()))

    def test_predictions_are_not_augmented(self) -> None:
        learner, images = fitted(run(preprocessing=self.SHIFTED)), prepared().validation.images
        np.testing.assert_array_equal(learner.predict_log_proba(images), learner.predict_log_proba(images))

    def test_a_flip_that_changes_the_class_is_refused(self) -> None:
        with pytest.raises(InputError, match="does not keep the classes"):
            fitted(run(preprocessing=PreprocessingSpec(augment=(Choice(name="flip"),))))


class TestInterface:
    @pytest.mark.parametrize("model", NEURAL + CLASSICAL)
    def test_fit_gives_a_learner_that_says_probabilities(self, model: str) -> None:
        learner = fitted(run(model), watch=True)
        assert isinstance(learner, Learner)
        images = prepared().validation.images
        probabilities = learner.predict_proba(images)
        assert probabilities.shape == (len(images), 10)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(np.exp(learner.predict_log_proba(images)), probabilities)
        assert learner.seconds > 0

    @pytest.mark.parametrize("model", NEURAL + CLASSICAL)
    def test_what_is_said_of_an_image_does_not_depend_on_the_others(self, model: str) -> None:
        learner, images = fitted(run(model), watch=True), prepared().validation.images[:40]
        together = learner.predict_log_proba(images)
        alone = np.concatenate([learner.predict_log_proba(images[i : i + 1]) for i in range(5)])
        np.testing.assert_allclose(alone, together[:5], atol=1e-5)
        np.testing.assert_allclose(learner.predict_log_proba(images[::-1])[::-1], together, atol=1e-5)

    def test_many_images_are_taken_in_batches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        learner, images = fitted(run("resnet")), prepared().validation.images[:70]
        together = learner.predict_log_proba(images)
        monkeypatch.setattr(learners, "PREDICT_BATCH", 32)
        np.testing.assert_allclose(learner.predict_log_proba(images), together, atol=1e-5)

    @pytest.mark.parametrize("model", ["mlp", "lenet", "svm"])
    def test_images_that_cannot_be_written_to_serve(self, model: str) -> None:
        given = prepared()
        images, labels = given.train.images.copy(), given.train.labels.copy()
        images.flags.writeable = labels.flags.writeable = False
        learner = make_learner(run(model), classes=10).fit(images, labels)
        np.testing.assert_array_equal(learner.predict_log_proba(images), fitted(run(model)).predict_log_proba(images))

    def test_the_model_chooses_the_learner(self) -> None:
        assert all(isinstance(make_learner(run(name), classes=10), TorchLearner) for name in NEURAL)
        assert all(isinstance(make_learner(run(name), classes=10), ClassicalLearner) for name in CLASSICAL)

    def test_training_leaves_the_images_alone(self) -> None:
        before = prepared().train.images.copy()
        fitted(run(preprocessing=TestAugmentation.SHIFTED))
        np.testing.assert_array_equal(prepared().train.images, before)


class TestClassical:
    def test_the_temperature_is_the_best_on_the_watched_images(self) -> None:
        learner, part = fitted(run("svm"), watch=True), prepared().validation

        def loss(temperature: float) -> float:
            spoken = log_softmax(learner.model.decision(part.images) / temperature)
            return -spoken[np.arange(len(part.labels)), part.labels].mean()

        assert learner.temperature != 1
        assert all(loss(learner.temperature) <= loss(learner.temperature * factor) for factor in (0.5, 0.9, 1.1, 2.0))
        assert loss(learner.temperature) <= loss(1.0)

    def test_the_temperature_changes_no_prediction(self) -> None:
        watched, alone = (said(run("svm"), watch=watch) for watch in (True, False))
        np.testing.assert_array_equal(watched.argmax(axis=1), alone.argmax(axis=1))
        assert not np.array_equal(watched, alone)

    def test_without_watched_images_it_is_one(self) -> None:
        learner = fitted(run("svm"))
        assert learner.temperature == 1
        images = prepared().validation.images
        np.testing.assert_array_equal(learner.predict_log_proba(images), log_softmax(learner.model.decision(images)))

    def test_log_softmax_is_normalised_and_safe(self) -> None:
        values = log_softmax(np.array([[0.0, 0.0], [1e4, 0.0], [-1e4, 1e4]]))
        np.testing.assert_allclose(values, [[-np.log(2), -np.log(2)], [0, -1e4], [-2e4, 0]])

    @pytest.mark.parametrize("name", [name for name in remedies.names() if name not in classical_remedies()])
    def test_a_remedy_with_a_loss_of_its_own_is_refused(self, name: str) -> None:
        with pytest.raises(InputError, match=f"remedy '{name}' changes the loss.*allowed: none"):
            fitted(run("svm", remedy=Choice(name=name)))

    @pytest.mark.parametrize("name", ["under_sampling", "over_sampling", "balanced_sampler", "class_weights"])
    def test_a_remedy_changes_what_is_learned_of_imbalanced_images(self, name: str) -> None:
        plain = run("logistic", profile=ProfileSpec(name="exponential", ratio=20.0))
        assert not np.array_equal(said(plain.with_(remedy=Choice(name=name))), said(plain))

    @pytest.mark.parametrize("name", ["under_sampling", "over_sampling", "class_weights"])
    def test_a_remedy_changes_nothing_of_balanced_images(self, name: str) -> None:
        np.testing.assert_allclose(said(run("svm", remedy=Choice(name=name))), said(run("svm")), atol=1e-6)
