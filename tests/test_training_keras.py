"""The Keras learner: reproducible bit for bit, about as accurate as the PyTorch learner, and with the same remedies."""

import hashlib
import importlib.util
import os
import subprocess
import sys
from functools import lru_cache

import numpy as np
import pytest
import torch

from imagestudy import data
from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice, ModelSpec, PreprocessingSpec, ProfileSpec, RunSpec, TrainingSpec
from imagestudy.experiments.dependencies import Task
from imagestudy.experiments.execute import derive, record
from imagestudy.experiments.executors.local import Processes
from imagestudy.experiments.records import Failure, Record
from imagestudy.models import KerasNetwork, build
from imagestudy.models.keras import copy_weights, start
from imagestudy.remedies import remedies, remedy
from imagestudy.training import KerasLearner, Learner, TorchLearner, followed_remedies, make_learner
from imagestudy.training.history import DivergedError
from imagestudy.training.keras.learner import keras_remedies, require_keras
from imagestudy.training.keras.losses import keras_loss
from imagestudy.training.keras.optimizer import make_optimizer
from imagestudy.training.optimizer import Descent

pytestmark = pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")

IMBALANCED = ProfileSpec(name="exponential", ratio=20.0)
TRAINED = tuple(name for name in keras_remedies() if remedies.entry(name).facts["acts"] not in ("posthoc", "tuning"))
PRINT_DIGEST = """
import hashlib
from imagestudy import data
from imagestudy.core.specs import RunSpec
from imagestudy.training import make_learner
spec = RunSpec.model_validate_json({spec!r})
parts = data.prepare(spec)
learner = make_learner(spec, classes=10).fit(parts.train.images, parts.train.labels)
print(hashlib.sha256(learner.predict_log_proba(parts.validation.images).tobytes()).hexdigest())
"""


def run(model: str = "keras_lenet", *, seen: int = 256, **fields: object) -> RunSpec:
    training = fields.pop("training", None) or TrainingSpec(images_seen=seen)
    params = 20_000 if model.endswith("resnet") else None
    return RunSpec(dataset=Choice(name="digits"), model=ModelSpec(name=model, params=params), training=training, **fields)


@lru_cache
def prepared(profile: ProfileSpec | None = None) -> data.Prepared:
    return data.prepare(run(profile=profile or ProfileSpec()))


def fitted(spec: RunSpec, *, watch: bool = False) -> KerasLearner | TorchLearner:
    given = prepared(spec.profile)
    watched = (given.validation.images, given.validation.labels) if watch else None
    return make_learner(spec, classes=10, watch=watched).fit(given.train.images, given.train.labels)


def predicted(spec: RunSpec) -> np.ndarray:
    return fitted(spec).predict_log_proba(prepared().validation.images)


class TestSameRunSameBits:
    def test_a_new_process_predicts_the_same_bit_for_bit(self) -> None:
        spec = run("keras_resnet", seen=640)
        here = hashlib.sha256(predicted(spec).tobytes()).hexdigest()
        code = PRINT_DIGEST.format(spec=spec.model_dump_json())
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False)
        assert (done.returncode, done.stdout.strip(), done.stderr) == (0, here, "")

    def test_equal_runs_predict_the_same_and_other_seeds_change_the_predictions(self) -> None:
        first = predicted(run())
        torch.rand(3)
        np.testing.assert_array_equal(predicted(run()), first)
        for stream in ("init", "batches"):
            assert not np.array_equal(predicted(run(**{stream: 1})), first)

    def test_validation_images_do_not_change_the_training(self) -> None:
        alone, watched = fitted(run("keras_resnet")), fitted(run("keras_resnet"), watch=True)
        images = prepared().validation.images
        np.testing.assert_array_equal(alone.predict_log_proba(images), watched.predict_log_proba(images))

    def test_a_worker_process_records_the_same(self) -> None:
        spec = run(seen=640)
        here = record(Task(spec, spec))
        there = next(iter(Processes(1).map(record, [Task(spec, spec)])))
        assert isinstance(here, Record)
        assert isinstance(there, Record)
        assert here.scores == there.scores
        np.testing.assert_array_equal(here.arrays["test"], there.arrays["test"])


class TestAgainstPyTorch:
    @pytest.mark.parametrize("model", ["lenet", "resnet"])
    def test_the_same_run_is_about_as_accurate(self, model: str) -> None:
        labels = prepared().validation.labels
        specs = [run(f"{prefix}{model}", seen=20_000) for prefix in ("", "keras_")]
        theirs, ours = ((predicted(spec).argmax(axis=1) == labels).mean() for spec in specs)
        assert min(theirs, ours) > 0.9
        assert ours == pytest.approx(theirs, abs=0.04)

    @pytest.mark.parametrize("augment", [(), (Choice(name="shift"), Choice(name="rotate"))])
    def test_both_see_the_same_batches(self, augment: tuple[Choice, ...], monkeypatch: pytest.MonkeyPatch) -> None:
        """If no step changes the weights and both start with the same weights, the losses of all batches are the same."""
        still = TrainingSpec(images_seen=256, learning_rate=1e-30)
        spec = run("keras_resnet", preprocessing=PreprocessingSpec(augment=augment), training=still)
        theirs = fitted(spec.with_(model=ModelSpec(name="resnet", params=20_000)))

        def build_copy(given: ModelSpec, **where: object) -> KerasNetwork:
            network = build(given, **where)
            copy_weights(theirs.network, network)
            return network

        monkeypatch.setattr("imagestudy.training.keras.learner.build", build_copy)
        ours = fitted(spec)
        np.testing.assert_allclose(ours.curve[:, 1:3], theirs.curve[:, 1:3], rtol=0, atol=1e-5)

    def test_the_curve_has_the_same_points(self) -> None:
        ours, theirs = (fitted(run(model, seen=640), watch=True).curve for model in ("keras_lenet", "lenet"))
        assert ours.shape == theirs.shape
        np.testing.assert_array_equal(ours[:, 0], theirs[:, 0])


class TestRemedies:
    def test_it_supports_sampling_weighting_and_posthoc_remedies(self) -> None:
        wanted = {"none", "tuned", "over_sampling", "balanced_sampler", "class_weights", "balanced_softmax", "logit_adjusted_loss"}
        assert wanted | {"focal", "logit_adjustment", "logit_adjustment_tuned", "seed_ensemble"} <= set(keras_remedies())
        assert followed_remedies("keras_resnet") == keras_remedies()
        assert followed_remedies("resnet") == remedies.names()

    @pytest.mark.parametrize(
        ("name", "lacking"),
        [("mixup", "images mixed"), ("crt", "a head of its own"), ("ldam", "a head of its own"), ("ncm", "a head of its own")],
    )
    def test_unsupported_remedies_are_refused_in_one_sentence(self, name: str, lacking: str) -> None:
        with pytest.raises(InputError, match=rf"remedy '{name}' needs {lacking}.*Keras models do not support; allowed: none, "):
            require_keras(Choice(name=name))

    @pytest.mark.parametrize("progress", [0.0, 0.9])
    @pytest.mark.parametrize("name", TRAINED)
    def test_every_loss_equals_that_of_pytorch(self, name: str, progress: float) -> None:
        start()
        import tensorflow as tf

        rng, counts = np.random.default_rng(0), np.array([100, 20, 5, 1])
        logits, labels = rng.standard_normal((32, 4), dtype=np.float32) * 3, rng.integers(0, 4, 32)
        wanted = remedy(Choice(name=name)).loss(counts)(torch.from_numpy(logits), torch.from_numpy(labels), progress)
        given = keras_loss(remedy(Choice(name=name)).criterion, counts)(logits, labels, tf.constant(progress, tf.float64))
        np.testing.assert_allclose(given.numpy(), wanted.numpy(), rtol=2e-5, atol=1e-6)

    @pytest.mark.parametrize(
        "name", ["over_sampling", "under_sampling", "class_weights", "balanced_softmax", "logit_adjusted_loss"]
    )
    def test_uniform_counts_make_it_plain_training(self, name: str) -> None:
        assert len(set(prepared().counts.tolist())) == 1
        np.testing.assert_allclose(predicted(run(remedy=Choice(name=name))), plain_predictions(), rtol=0, atol=1e-5)

    @pytest.mark.parametrize("name", ["balanced_sampler", "class_weights", "balanced_softmax", "focal"])
    def test_unequal_counts_change_the_predictions(self, name: str) -> None:
        plain, other = (predicted(run(profile=IMBALANCED, remedy=Choice(name=one))) for one in ("none", name))
        assert np.abs(plain - other).max() > 1e-3

    def test_a_posthoc_remedy_is_computed_from_its_record(self) -> None:
        spec = run("keras_lenet", seen=640, profile=IMBALANCED)
        plain, labels = record(Task(spec, spec)), data.held_out_labels(spec.dataset)
        assert isinstance(plain, Record)
        corrected = derive(spec.with_(remedy=Choice(name="logit_adjustment")), [plain], labels)
        assert isinstance(corrected, Record)
        assert corrected.scores != plain.scores

    def test_an_unsupported_remedy_fails_with_the_reason(self) -> None:
        spec = run(remedy=Choice(name="mixup"))
        failed = record(Task(spec, spec))
        assert isinstance(failed, Failure)
        assert "images mixed batch by batch" in failed.reason


@lru_cache
def plain_predictions() -> np.ndarray:
    return predicted(run())


class TestLearner:
    def test_it_is_a_learner_whose_probabilities_sum_to_one(self) -> None:
        learner = fitted(run())
        assert isinstance(learner, Learner)
        probabilities = learner.predict_proba(prepared().validation.images[:5])
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        assert learner.seconds > 0

    def test_kernels_decay_and_vectors_do_not(self) -> None:
        start()
        network = build(ModelSpec(name="keras_resnet"), shape=(1, 8, 8), classes=10)
        optimizer = make_optimizer(network, steps=5, peak=0.01, weight_decay=0.1)
        decaying = [v.path for v in network.model.trainable_variables if optimizer._use_weight_decay(v)]
        assert sorted(path.split("/")[-1] for path in decaying) == ["kernel"] * 6

    @pytest.mark.parametrize("size", [1e-9, 1e-6, 1e-3, 10.0])
    def test_the_optimizer_equals_that_of_pytorch_for_gradients_of_any_size(self, size: float) -> None:
        """Gradients near epsilon show where epsilon is added; large gradients are clipped; kernels decay and biases do not."""
        start()
        import keras

        recipe = {"steps": 20, "peak": 0.01, "weight_decay": 0.1}
        theirs = torch.nn.Linear(5, 7)
        ours = keras.Sequential([keras.Input((5,)), keras.layers.Dense(7)])
        ours.set_weights([theirs.weight.detach().numpy().T, theirs.bias.detach().numpy()])
        descent, optimizer = Descent(theirs, **recipe), make_optimizer(KerasNetwork(ours, (1, 1, 5), 7), **recipe)
        rng = np.random.default_rng(0)
        for step in range(20):
            kernel, bias = (rng.standard_normal(shape, dtype=np.float32) * np.float32(size) for shape in ((5, 7), (7,)))
            descent.take(step, (theirs.weight * torch.from_numpy(kernel.T)).sum() + (theirs.bias * torch.from_numpy(bias)).sum())
            optimizer.apply([keras.ops.convert_to_tensor(kernel), keras.ops.convert_to_tensor(bias)], ours.trainable_variables)
        np.testing.assert_allclose(ours.get_weights()[0], theirs.weight.detach().numpy().T, rtol=0, atol=1e-6)
        np.testing.assert_allclose(ours.get_weights()[1], theirs.bias.detach().numpy(), rtol=0, atol=1e-6)

    def test_a_diverging_run_is_an_error(self) -> None:
        with pytest.raises(DivergedError):
            fitted(run(training=TrainingSpec(images_seen=640, learning_rate=1e38)))

    def test_a_training_leaves_no_memory_behind(self) -> None:
        import gc

        def graphs() -> int:
            gc.collect()
            return sum(type(thing).__name__ == "FuncGraph" for thing in gc.get_objects())

        fitted(run(seen=64))
        before = graphs()
        fitted(run(seen=64))
        assert graphs() <= before

    @pytest.mark.parametrize("fields", [{"device": "cuda"}, {"dtype": "bfloat16"}])
    def test_an_unsupported_device_or_dtype_is_refused(self, fields: dict[str, str]) -> None:
        with pytest.raises(InputError, match=r"was given for model 'keras_lenet'; allowed for Keras"):
            make_learner(run(training=TrainingSpec(images_seen=64, **fields)), classes=10)

    def test_its_cost_is_measured_like_any_others(self) -> None:
        ours, theirs = (record(Task(one, one)) for one in (run(model, kind="cost") for model in ("keras_lenet", "lenet")))
        assert isinstance(ours, Record)
        assert isinstance(theirs, Record)
        assert [ours.cost[name] for name in ("params", "flops")] == [theirs.cost[name] for name in ("params", "flops")]
        assert ours.cost.keys() == theirs.cost.keys()
