"""Training is reproducible bit for bit, stays within its budget, and never uses images that it must not use."""

import gc
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from threadpoolctl import threadpool_limits

from imagestudy import data, training
from imagestudy.core.errors import InputError
from imagestudy.core.seeding import generator, make_torch_deterministic
from imagestudy.core.specs import Choice, ModelSpec, PreprocessingSpec, ProfileSpec, RunSpec, TrainingSpec
from imagestudy.metrics import classification
from imagestudy.models import Network, build, models
from imagestudy.remedies import Remedy, classical_remedies, remedies, remedy
from imagestudy.remedies.heads import CosineHead, ScaledHead
from imagestudy.remedies.losses import plain_cross_entropy
from imagestudy.remedies.mixing import Blend, Mixture
from imagestudy.remedies.sampling import Epochs
from imagestudy.training import (
    CURVE_POINTS,
    ClassicalLearner,
    DivergedError,
    Learner,
    TorchLearner,
    learning_rate_at,
    make_learner,
    optimizer,
)
from imagestudy.training.history import Tracker
from imagestudy.training.optimizer import Descent

NEURAL = models.names(kind="neural", pretrained=None)
"""Models that need no file of weights. `test_pretrained` tests the others."""
CLASSICAL = models.names(kind="classical")
TRAINED = tuple(name for name in remedies.names() if remedies.entry(name).facts["acts"] != "posthoc")
IMBALANCED = ProfileSpec(name="exponential", ratio=20.0)


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


def predicted(spec: RunSpec, *, watch: bool = False) -> np.ndarray:
    return fitted(spec, watch=watch).predict_log_proba(prepared().validation.images)


@lru_cache
def ten_steps(model: str, name: str) -> tuple[TorchLearner, list[int], int]:
    """A network trained with a remedy for ten steps of 16 images, the size of each batch in the loss, and the number of steps."""
    batches: list[int] = []
    steps: list[float] = []
    follow, take = Tracker.follow, Descent.take

    def note(self: Tracker, loss: torch.Tensor, logits: torch.Tensor, target: torch.Tensor) -> None:
        batches.append(len(logits))
        follow(self, loss, logits, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tracker, "follow", note)
        patch.setattr(Descent, "take", lambda self, step, loss: steps.append(step) or take(self, step, loss))
        training = TrainingSpec(images_seen=160, batch=16)
        learner = fitted(run(model, profile=IMBALANCED, remedy=Choice(name=name), training=training), watch=True)
    assert isinstance(learner, TorchLearner)
    return learner, batches, len(steps)


def weights(network: Network) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def untrained(spec: RunSpec) -> Network:
    make_torch_deterministic(spec.seed_of("init"), "init", threads=1)
    return build(spec.model, shape=(1, 8, 8), classes=10)


class TestSameRunSameBits:
    @pytest.mark.parametrize("model", NEURAL + CLASSICAL)
    def test_equal_runs_predict_the_same_bit_for_bit(self, model: str) -> None:
        first = predicted(run(model))
        torch.rand(3)
        np.testing.assert_array_equal(predicted(run(model)), first)

    @pytest.mark.parametrize("stream", ["seed", "init", "batches"])
    def test_another_seed_changes_the_predictions(self, stream: str) -> None:
        assert not np.array_equal(predicted(run(**{stream: 1})), predicted(run()))

    def test_the_seeds_of_the_training_set_do_not_change_the_learner(self) -> None:
        np.testing.assert_array_equal(predicted(run(draw=1, order=1)), predicted(run()))

    @pytest.mark.parametrize("model", ["logistic", "svm"])
    def test_the_threads_around_a_classical_model_change_nothing(self, model: str) -> None:
        with threadpool_limits(1):
            one = predicted(run(model))
        with threadpool_limits(2):
            np.testing.assert_array_equal(predicted(run(model)), one)

    @pytest.mark.parametrize("model", ["mlp", "resnet", "bilstm", "logistic"])
    def test_validation_images_do_not_change_the_training(self, model: str) -> None:
        alone, watched = fitted(run(model)), fitted(run(model), watch=True)
        images = prepared().validation.images
        if isinstance(alone, TorchLearner):
            assert torch.equal(weights(alone.network), weights(watched.network))
            np.testing.assert_array_equal(alone.predict_log_proba(images), watched.predict_log_proba(images))
        else:
            np.testing.assert_array_equal(alone.model.decision(images), watched.model.decision(images))


class TestBudget:
    @pytest.mark.parametrize("name", TRAINED)
    @pytest.mark.parametrize("model", NEURAL)
    def test_every_network_takes_the_same_number_of_steps_on_as_many_images_under_every_remedy(self, model: str, name: str) -> None:
        learner, batches, steps = ten_steps(model, name)
        assert batches == [16] * 10
        assert steps == 10
        assert learner.curve[:, 0].tolist() == list(range(16, 161, 16))

    def test_the_curve_ends_at_the_budget(self) -> None:
        curve = fitted(run("article", seen=64 * 50 + 1)).curve
        assert curve.shape == (CURVE_POINTS, 4)
        assert curve[-1, 0] == 64 * 50
        assert (np.diff(curve[:, 0]) > 0).all()

    def test_a_short_training_has_one_point_per_step(self) -> None:
        assert fitted(run("article", seen=192)).curve[:, 0].tolist() == [64, 128, 192]

    def test_a_classical_model_has_no_curve(self) -> None:
        assert fitted(run("logistic")).curve.shape == (0, 4)

    def test_the_curve_has_validation_scores_only_with_validation_images(self) -> None:
        assert np.isnan(fitted(run("article")).curve[:, 3]).all()
        watched = fitted(run("article"), watch=True)
        predicted = watched.predict_log_proba(prepared().validation.images).argmax(axis=1)
        assert watched.curve[-1, 3] == classification.balanced_accuracy(predicted, prepared().validation.labels, classes=10)

    def test_scores_of_the_images_beside_are_a_further_column_and_change_no_bit(self) -> None:
        given, spec = prepared(), run("resnet")
        watch, beside = (given.validation.images, given.validation.labels), (given.train.images[:300], given.train.labels[:300])
        learner = make_learner(spec, classes=10, watch=watch, beside=beside, points=3).fit(given.train.images, given.train.labels)
        assert learner.curve.shape == (3, 5)
        predicted = learner.predict_log_proba(beside[0]).argmax(axis=1)
        assert learner.curve[-1, 4] == classification.balanced_accuracy(predicted, beside[1], classes=10)
        alone = fitted(spec, watch=True)
        assert torch.equal(weights(alone.network), weights(learner.network))
        assert learner.curve[-1, 3] == alone.curve[-1, 3]

    def test_a_curve_holds_the_means_since_its_last_point(self) -> None:
        losses, hits = torch.rand(7), torch.rand(7) < 0.5
        tracker = Tracker(steps=7, batch=1, scores=lambda: (0.5,), points=3)
        for loss, hit in zip(losses, hits, strict=True):
            tracker.follow(loss, torch.tensor([[0.0, float(hit)]]), torch.tensor([1]))
        bounds = [(0, 3), (3, 5), (5, 7)]
        expected = [(end, losses[start:end].mean().item(), hits[start:end].float().mean().item(), 0.5) for start, end in bounds]
        np.testing.assert_array_equal(tracker.curve(), expected)

    def test_the_tracker_keeps_no_tensor_per_step(self) -> None:
        """Small tensors that are kept fragment the memory. The memory of a recurrent network once grew with every step."""

        def count() -> int:
            gc.collect()
            return sum(type(one) is torch.Tensor for one in gc.get_objects())

        tracker = Tracker(steps=200, batch=2, scores=tuple, points=0)
        logits, target = torch.rand(2, 10), torch.tensor([1, 2])
        tracker.follow(torch.tensor(0.5), logits, target)
        before = count()
        for _ in range(100):
            tracker.follow(torch.rand(()), logits, target)
        assert count() <= before

    def test_without_points_there_is_no_curve(self) -> None:
        given = prepared()
        learner = make_learner(run("article"), classes=10, points=0).fit(given.train.images, given.train.labels)
        assert learner.curve.shape == (0, 4)

    def test_a_budget_below_one_batch_is_refused(self) -> None:
        with pytest.raises(InputError, match="does not fill one batch of 64"):
            fitted(run(seen=63))

    @pytest.mark.parametrize("model", ["resnet", "vit"])
    def test_a_batch_of_one_image_works(self, model: str) -> None:
        assert np.isfinite(predicted(run(model, training=TrainingSpec(images_seen=3, batch=1)))).all()


class TestRecipe:
    @pytest.mark.parametrize("steps", [10, 40, 625])
    def test_the_learning_rate_warms_up_and_falls_to_zero(self, steps: int) -> None:
        shares = [learning_rate_at(step, steps) for step in range(steps)]
        warm = round(optimizer.WARM_UP * steps)
        assert shares[:warm] == pytest.approx([(step + 1) / warm for step in range(warm)])
        assert shares[warm - 1] == max(shares) == 1
        assert all(later <= earlier for earlier, later in pairwise(shares[warm - 1 :]))
        assert learning_rate_at(steps, steps) == pytest.approx(0, abs=1e-12)
        assert shares[-1] > 0

    def test_a_training_of_one_step_uses_the_peak_learning_rate(self) -> None:
        assert learning_rate_at(0, 1) == 1

    @pytest.mark.parametrize("model", NEURAL)
    def test_every_parameter_is_in_one_group_and_vectors_do_not_decay(self, model: str) -> None:
        network = untrained(run(model))
        decaying, others = optimizer.parameter_groups(network, 0.5)
        assert (decaying["weight_decay"], others["weight_decay"]) == (0.5, 0.0)
        ids = [id(p) for group in (decaying, others) for p in group["params"]]
        assert sorted(ids) == sorted(id(p) for p in network.parameters())
        assert all(p.ndim >= 2 for p in decaying["params"])
        assert {id(network.head.weight)} <= {id(p) for p in decaying["params"]}

    def test_a_marked_parameter_does_not_decay(self) -> None:
        network = untrained(run())
        network.head.weight.no_decay = True
        assert id(network.head.weight) in {id(p) for p in optimizer.parameter_groups(network, 0.5)[1]["params"]}

    @pytest.mark.parametrize("model", ["mlp", "bilstm", "vit"])
    def test_a_tiny_learning_rate_barely_moves_the_weights(self, model: str) -> None:
        spec = run(model, training=TrainingSpec(images_seen=256, learning_rate=1e-9))
        moved = weights(fitted(spec).network) - weights(untrained(spec))
        assert 0 < moved.abs().max() < 1e-7

    def test_weight_decay_shrinks_the_weights(self) -> None:
        plain, shrunk = (run(training=TrainingSpec(images_seen=256, weight_decay=decay)) for decay in (0.0, 20.0))
        assert weights(fitted(shrunk).network).norm() < weights(fitted(plain).network).norm()

    @pytest.mark.parametrize("model", ["article", "resnet"])
    def test_a_diverging_training_is_an_error_that_names_the_loss(self, model: str) -> None:
        with pytest.raises(DivergedError, match=r"^the loss was (nan|inf) after \d+ images$"):
            fitted(run(model, seen=640, training=TrainingSpec(images_seen=640, learning_rate=1e30)))

    def test_half_precision_works_and_is_a_different_run(self) -> None:
        half = predicted(run(training=TrainingSpec(images_seen=256, dtype="bfloat16")))
        assert np.isfinite(half).all()
        assert not np.array_equal(half, predicted(run()))


class TestRemedies:
    @pytest.mark.parametrize("name", TRAINED)
    @pytest.mark.parametrize("model", NEURAL)
    def test_every_network_works_with_every_remedy(self, model: str, name: str) -> None:
        learner, *_ = ten_steps(model, name)
        logs = learner.predict_log_proba(prepared().validation.images)
        assert logs.shape == (297, 10)
        assert np.isfinite(logs).all()
        np.testing.assert_allclose(np.exp(logs).sum(axis=1), 1, atol=1e-6)

    @pytest.mark.parametrize("name", [name for name in TRAINED if name not in ("none", "tuned")])
    def test_every_remedy_changes_what_is_learned_of_imbalanced_images(self, name: str) -> None:
        images = prepared().validation.images
        found, plain = (ten_steps("mlp", which)[0].predict_log_proba(images) for which in (name, "none"))
        assert np.abs(found - plain).max() > 1e-3

    @pytest.mark.parametrize("name", TRAINED)
    def test_the_head_is_the_one_that_the_remedy_asks_for(self, name: str) -> None:
        head = ten_steps("mlp", name)[0].network.head
        kinds = {"ldam": CosineHead, "ldam_drw": CosineHead, "ncm": CosineHead, "lws": ScaledHead}
        assert type(head) is kinds.get(name, torch.nn.Linear)
        if name.startswith("ldam"):
            assert head.scale == 30

    def test_another_head_leaves_the_first_features_as_they_are(self) -> None:
        spec = run("resnet", training=TrainingSpec(images_seen=64, learning_rate=1e-12), profile=IMBALANCED)
        plain, cosine = (fitted(spec.with_(remedy=Choice(name=name))).network.features for name in ("none", "ldam"))
        for one, other in zip(plain.parameters(), cosine.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-9)

    @pytest.mark.parametrize("name", ["under_sampling", "over_sampling", "balanced_softmax", "logit_adjusted_loss"])
    def test_uniform_counts_make_it_plain_training_bit_for_bit(self, name: str) -> None:
        np.testing.assert_array_equal(predicted(run(remedy=Choice(name=name))), predicted(run()))

    @pytest.mark.parametrize("name", ["class_weights", "class_balanced", "drw"])
    def test_uniform_counts_make_it_plain_training_but_for_rounding(self, name: str) -> None:
        np.testing.assert_allclose(predicted(run(remedy=Choice(name=name))), predicted(run()), atol=1e-4)

    @pytest.mark.parametrize(
        ("name", "options"), [("focal", {"gamma": 0.0}), ("logit_adjusted_loss", {"tau": 0.0}), ("class_balanced", {"beta": 0.0})]
    )
    def test_a_strength_of_zero_is_plain_training(self, name: str, options: dict) -> None:
        imbalanced = run(profile=IMBALANCED)
        found = predicted(imbalanced.with_(remedy=Choice(name=name, options=options)))
        np.testing.assert_allclose(found, predicted(imbalanced), atol=1e-3)

    @pytest.mark.parametrize("remedy_", [Choice(name="drw", options={"after": 1.0}), Choice(name="drs", options={"after": 1.0})])
    def test_deferred_beyond_the_end_is_plain_training_bit_for_bit(self, remedy_: Choice) -> None:
        imbalanced = run(profile=IMBALANCED)
        np.testing.assert_array_equal(predicted(imbalanced.with_(remedy=remedy_)), predicted(imbalanced))

    @pytest.mark.parametrize("name", ["drw", "ldam_drw", "drs"])
    def test_a_deferred_loss_begins_at_four_fifths_of_the_steps(self, name: str) -> None:
        """With one point per step, the losses equal those without deferral up to step 15 and differ from step 16 of 20 on."""
        first = {"drw": "none", "ldam_drw": "ldam", "drs": "none"}[name]
        deferred, without = (
            fitted(run(seen=20 * 64, profile=IMBALANCED, remedy=Choice(name=which))).curve[:, 1] for which in (name, first)
        )
        assert np.array_equal(deferred[:16], without[:16])
        assert deferred[16] != without[16]

    def test_the_loss_gets_the_progress_of_the_training(self, monkeypatch: pytest.MonkeyPatch) -> None:
        told: list[float] = []

        def note(logits: torch.Tensor, labels: torch.Tensor, progress: float) -> torch.Tensor:
            told.append(progress)
            return plain_cross_entropy(logits, labels, progress)

        monkeypatch.setattr(Remedy, "loss", lambda *_, **__: note)
        fitted(run(seen=8 * 64))
        assert told == [step / 8 for step in range(8)]

    @pytest.mark.parametrize("name", [name for name in TRAINED if "data" in remedies.entry(name).facts["acts"]])
    def test_the_network_trains_on_the_planned_images(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """The first pixel of every image is its index. The test draws the same schedule again and compares."""
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, size=(200, 8, 8, 1), dtype=np.uint8)
        images[:, 0, 0, 0] = np.arange(200)
        labels = np.repeat(np.arange(4), [140, 45, 12, 3])
        seen: list[np.ndarray] = []
        normalized = TorchLearner._normalized

        def note(self: TorchLearner, batch: torch.Tensor) -> torch.Tensor:
            seen.append(batch[:, 0, 0, 0].numpy().copy())
            return normalized(self, batch)

        monkeypatch.setattr(TorchLearner, "_normalized", note)
        spec, found = run(remedy=Choice(name=name), seen=640), remedy(Choice(name=name))
        make_learner(spec, classes=4, points=0).fit(images, labels)
        order = generator(0, "batches")
        plan = found.plan(labels, images_seen=640, batch=64, rng=order)
        if found.mixing is None:
            expected = list(plan)
        else:
            partners = found.mixing.schedule(plan, labels, size=(8, 8), rng=order.spawn(1)[0]).partners
            expected = [row for pair in zip(plan, partners, strict=True) for row in pair]
        np.testing.assert_array_equal(seen, expected)

    @pytest.mark.parametrize("name", ["ldam_drw", "crt", "lws", "tau_norm", "ncm", "remix", "tail_cutmix"])
    def test_half_precision_works_too(self, name: str) -> None:
        half = TrainingSpec(images_seen=256, dtype="bfloat16")
        assert np.isfinite(predicted(run("resnet", remedy=Choice(name=name), training=half, profile=IMBALANCED), watch=True)).all()

    @pytest.mark.parametrize("name", ["ldam_drw", "crt", "lws", "ncm", "remix", "tail_cutmix", "drs"])
    def test_equal_runs_predict_the_same_bit_for_bit_and_another_seed_changes_them(self, name: str) -> None:
        spec = run("mlp", remedy=Choice(name=name), profile=IMBALANCED)
        first = predicted(spec, watch=True)
        torch.rand(3)
        np.testing.assert_array_equal(predicted(spec, watch=True), first)
        assert not np.array_equal(predicted(spec.with_(batches=1), watch=True), first)


class TestMixedImages:
    """Training on mixed images. `lenet` has no dropout and no batch norm, so the loss of its first step can be computed by hand."""

    @staticmethod
    def mixing(**fields: object) -> Callable:
        def schedule(_self: Blend, plan: np.ndarray, *_: object, **__: object) -> Mixture:
            partners = np.roll(plan, 1, axis=1)
            given = {name: np.broadcast_to(value, plan.shape) for name, value in fields.items()}
            return Mixture(partners, given["kept"][:, 0], given["shares"])

        return schedule

    @pytest.mark.parametrize("model", ["mlp", "resnet"])
    def test_keeping_all_of_an_image_and_its_label_is_plain_training_bit_for_bit(
        self, model: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plain = predicted(run(model))
        monkeypatch.setattr(Blend, "schedule", self.mixing(kept=1.0, shares=1.0))
        np.testing.assert_array_equal(predicted(run(model, remedy=Choice(name="mixup"))), plain)

    def test_keeping_nothing_is_plain_training_on_the_partners_bit_for_bit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Blend, "schedule", self.mixing(kept=0.0, shares=0.0))
        found = predicted(run("lenet", remedy=Choice(name="mixup")))
        planned = Epochs.plan
        monkeypatch.setattr(Epochs, "plan", lambda *given, **options: np.roll(planned(*given, **options), 1, axis=1))
        np.testing.assert_array_equal(found, predicted(run("lenet")))

    @pytest.mark.parametrize("model", ["mlp", "resnet"])
    def test_a_patch_with_probability_zero_is_plain_training_bit_for_bit(self, model: str) -> None:
        never = Choice(name="tail_cutmix", options={"probability": 0.0})
        np.testing.assert_array_equal(predicted(run(model, remedy=never)), predicted(run(model)))

    def test_remix_with_a_threshold_of_zero_is_mixup_bit_for_bit(self) -> None:
        remix = Choice(name="remix", options={"threshold": 0.0})
        spec = run(profile=IMBALANCED)
        np.testing.assert_array_equal(predicted(spec.with_(remedy=remix)), predicted(spec.with_(remedy=Choice(name="mixup"))))

    @pytest.mark.parametrize(
        "choice",
        [
            Choice(name="mixup"),
            Choice(name="remix", options={"threshold": 1.0}),
            Choice(name="tail_cutmix", options={"probability": 1.0}),
            Choice(name="mixup_drw"),
            Choice(name="mixup_drw", options={"after": 0.0}),
        ],
        ids=str,
    )
    def test_the_first_loss_is_the_cross_entropy_of_mixed_labels_on_mixed_images(self, choice: Choice) -> None:
        spec = run("lenet", seen=64, profile=IMBALANCED, remedy=choice, training=TrainingSpec(images_seen=64, learning_rate=1e-12))
        train = prepared(IMBALANCED).train
        order, found = generator(0, "batches"), remedy(choice)
        plan = found.plan(train.labels, images_seen=64, batch=64, rng=order)
        mixture = found.mixing.schedule(plan, train.labels, size=(8, 8), rng=order.spawn(1)[0])
        learner = fitted(spec)
        own, other = (train.images[rows[0]].astype(np.float64) / 255 for rows in (plan, mixture.partners))
        if mixture.boxes is None:
            images = mixture.kept[0] * own + (1 - mixture.kept[0]) * other
        else:
            top, bottom, left, right = mixture.boxes[0]
            images = own.copy()
            images[:, top:bottom, left:right] = other[:, top:bottom, left:right]
        eye, share = np.eye(10), mixture.shares[0][:, None]
        soft = share * eye[train.labels[plan[0]]] + (1 - share) * eye[train.labels[mixture.partners[0]]]
        if choice.options.get("after") == 0.0:
            soft = soft * remedy(Choice(name="class_balanced")).criterion.class_weights(prepared(IMBALANCED).counts)
        with torch.no_grad():
            pixels = torch.from_numpy(images.transpose(0, 3, 1, 2)).float()
            logs = learner.network((pixels - learner.mean) / learner.deviation).double().log_softmax(dim=1).numpy()
        assert learner.curve[0, 1] == pytest.approx(-(soft * logs).sum() / 64, rel=1e-5)


class TestNormalization:
    def test_it_is_measured_on_the_training_images_alone(self) -> None:
        train = prepared().train.images / 255
        learner = fitted(run("article"), watch=True)
        np.testing.assert_allclose(learner.mean.flatten(), train.mean(axis=(0, 1, 2)), rtol=1e-6)
        np.testing.assert_allclose(learner.deviation.flatten(), train.std(axis=(0, 1, 2)), rtol=1e-6)

    def test_training_images_leave_it_with_mean_0_and_deviation_1(self) -> None:
        learner = fitted(run("article"))
        images = torch.from_numpy(prepared().train.images.transpose(0, 3, 1, 2)).float() / 255
        normalized = learner._normalized(images)
        assert normalized.mean().item() == pytest.approx(0, abs=1e-5)
        assert normalized.std(correction=0).item() == pytest.approx(1, abs=1e-5)

    def test_images_of_one_gray_value_do_not_break_it(self) -> None:
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
        on = predicted(run(preprocessing=self.SHIFTED))
        assert not np.array_equal(on, predicted(run()))
        np.testing.assert_array_equal(predicted(run(preprocessing=self.SHIFTED)), on)

    def test_an_augmentation_of_strength_zero_changes_nothing(self) -> None:
        still = PreprocessingSpec(augment=(Choice(name="shift", options={"fraction": 0.0}),))
        np.testing.assert_array_equal(predicted(run(preprocessing=still)), predicted(run()))

    def test_predictions_are_not_augmented(self) -> None:
        learner, images = fitted(run(preprocessing=self.SHIFTED)), prepared().validation.images
        np.testing.assert_array_equal(learner.predict_log_proba(images), learner.predict_log_proba(images))

    def test_a_flip_that_changes_the_class_is_refused(self) -> None:
        with pytest.raises(InputError, match="does not keep the classes"):
            fitted(run(preprocessing=PreprocessingSpec(augment=(Choice(name="flip"),))))


class TestInterface:
    @pytest.mark.parametrize("model", NEURAL + CLASSICAL)
    def test_fit_returns_a_learner_that_predicts_probabilities(self, model: str) -> None:
        learner = fitted(run(model), watch=True)
        assert isinstance(learner, Learner)
        images = prepared().validation.images
        probabilities = learner.predict_proba(images)
        assert probabilities.shape == (len(images), 10)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(np.exp(learner.predict_log_proba(images)), probabilities)
        assert learner.seconds > 0

    @pytest.mark.parametrize("model", NEURAL + CLASSICAL)
    def test_the_prediction_of_an_image_does_not_depend_on_the_others(self, model: str) -> None:
        learner, images = fitted(run(model), watch=True), prepared().validation.images[:40]
        together = learner.predict_log_proba(images)
        alone = np.concatenate([learner.predict_log_proba(images[i : i + 1]) for i in range(5)])
        np.testing.assert_allclose(alone, together[:5], atol=1e-5)
        np.testing.assert_allclose(learner.predict_log_proba(images[::-1])[::-1], together, atol=1e-5)

    def test_many_images_are_predicted_in_batches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        learner, images = fitted(run("resnet")), prepared().validation.images[:70]
        together = learner.predict_log_proba(images)
        monkeypatch.setattr(training.torch_learner, "PREDICT_BATCH", 32)
        np.testing.assert_allclose(learner.predict_log_proba(images), together, atol=1e-5)

    @pytest.mark.parametrize("model", ["mlp", "lenet", "svm"])
    def test_read_only_images_work(self, model: str) -> None:
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
    def test_the_temperature_is_the_best_on_the_validation_images(self) -> None:
        learner, part = fitted(run("svm"), watch=True), prepared().validation

        def loss(temperature: float) -> float:
            log_probabilities = log_softmax(learner.model.decision(part.images) / temperature, axis=1)
            return -log_probabilities[np.arange(len(part.labels)), part.labels].mean()

        assert learner.temperature != 1
        assert all(loss(learner.temperature) <= loss(learner.temperature * factor) for factor in (0.5, 0.9, 1.1, 2.0))
        assert loss(learner.temperature) <= loss(1.0)

    def test_the_temperature_changes_no_prediction(self) -> None:
        watched, alone = (predicted(run("svm"), watch=watch) for watch in (True, False))
        np.testing.assert_array_equal(watched.argmax(axis=1), alone.argmax(axis=1))
        assert not np.array_equal(watched, alone)

    def test_without_validation_images_the_temperature_is_one(self) -> None:
        learner = fitted(run("svm"))
        assert learner.temperature == 1
        images = prepared().validation.images
        np.testing.assert_array_equal(learner.predict_log_proba(images), log_softmax(learner.model.decision(images), axis=1))

    @pytest.mark.parametrize("name", [name for name in remedies.names() if name not in classical_remedies()])
    def test_a_remedy_that_needs_a_network_is_refused(self, name: str) -> None:
        needed = remedy(Choice(name=name)).needs
        with pytest.raises(
            InputError, match=f"^remedy '{name}' needs {needed}, which classical models do not support; allowed: none"
        ):
            fitted(run("svm", remedy=Choice(name=name)))

    @pytest.mark.parametrize("name", ["under_sampling", "over_sampling", "balanced_sampler", "class_weights"])
    def test_a_remedy_changes_what_is_learned_of_imbalanced_images(self, name: str) -> None:
        plain = run("logistic", profile=ProfileSpec(name="exponential", ratio=20.0))
        assert not np.array_equal(predicted(plain.with_(remedy=Choice(name=name))), predicted(plain))

    @pytest.mark.parametrize("name", ["under_sampling", "over_sampling", "class_weights"])
    def test_a_remedy_changes_nothing_of_balanced_images(self, name: str) -> None:
        np.testing.assert_allclose(predicted(run("svm", remedy=Choice(name=name))), predicted(run("svm")), atol=1e-6)
