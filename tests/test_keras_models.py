"""Tests of the Keras models: they match their PyTorch twins in sizes, logits, gradients, steps and initial distributions.

The tests also check the silent start and the error messages.
"""

import importlib.util
import os
import subprocess
import sys
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
import torch

from imagestudy import data
from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice, ModelSpec, RunSpec
from imagestudy.models import KerasNetwork, Network, build, check_size, complexity, models, twin
from imagestudy.models.keras import copy_weights, counterparts, runtime, start
from imagestudy.models.keras.layers import batch_norm, pool
from imagestudy.training.keras import parity
from imagestudy.training.keras.defaults import defaults

pytestmark = pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")

KERAS = models.names(kind="keras")
SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (1, 13, 9), (2, 7, 13), (1, 5, 40), (3, 33, 21), (1, 100, 64)]
WEIGHTS = [parity.ONE_STEP, parity.ALL_STEPS]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    start(threads=1)


def spec(name: str, **options: object) -> ModelSpec:
    return ModelSpec(name=name, options=options, params=20_000 if name == "keras_resnet" else None)


def pair(name: str, shape: tuple[int, int, int] = (1, 8, 8), classes: int = 10, **options: object) -> tuple[Network, KerasNetwork]:
    return parity.make_pair(spec(name, **options), shape=shape, classes=classes)


@lru_cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    part = data.prepare(RunSpec(dataset=Choice(name="digits"), model=ModelSpec(name="lenet"))).train
    images = (part.images[:64].transpose(0, 3, 1, 2) / 255).astype(np.float32)
    return (images - images.mean()) / images.std(), part.labels[:64]


@lru_cache
def measured(name: str, what: str) -> pd.DataFrame:
    images, labels = digits() if what == "digits" else parity.draw_batch((3, 13, 9), classes=10)
    return parity.measure(name, images, labels, classes=10, params=spec(name).params)


@lru_cache
def differing() -> pd.DataFrame:
    start(threads=1)
    return defaults().set_index("what")


class TestSizes:
    def test_every_model_has_a_twin_of_its_family_and_era(self) -> None:
        for name in KERAS:
            ours, theirs = models.entry(name).facts, models.entry(models.entry(name).facts["twin"]).facts
            assert (ours["family"], ours["era"], theirs["kind"]) == (theirs["family"], theirs["era"], "neural")
            assert ours.get("step") == theirs.get("step")

    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("name", KERAS)
    def test_it_has_exactly_as_many_parameters_as_its_twin(self, name: str, shape: tuple[int, int, int]) -> None:
        theirs, ours = pair(name, shape, 7)
        assert ours.count_parameters() == sum(p.numel() for p in theirs.parameters())

    def test_a_budget_is_met_without_tensorflow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("imagestudy.models.keras.cnn.start", lambda **_: pytest.fail("TensorFlow was started"))
        check_size(ModelSpec(name="keras_resnet", params=33_333), shape=(1, 9, 9), classes=3)

    def test_the_table_of_layers_equals_that_of_the_twin(self) -> None:
        assert complexity.layers(spec("keras_resnet"), shape=(1, 8, 8), classes=10) == complexity.layers(
            twin(spec("keras_resnet")), shape=(1, 8, 8), classes=10
        )


class TestSameWeightsSameNumbers:
    @pytest.mark.parametrize("training", [False, True])
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("name", KERAS)
    def test_logits_agree_in_both_modes(self, name: str, shape: tuple[int, int, int], training: bool) -> None:
        theirs, ours = pair(name, shape, 7)
        images, _ = parity.draw_batch(shape, classes=7, size=16)
        with torch.no_grad():
            wanted = theirs.train(training)(torch.from_numpy(images)).numpy()
        given = ours.model(images.transpose(0, 2, 3, 1), training=training).numpy()
        np.testing.assert_allclose(given, wanted, rtol=0, atol=1e-5)

    @pytest.mark.parametrize("options", [{"normalise": False}, {"shortcut": False}])
    def test_the_ablations_agree_too(self, options: dict) -> None:
        theirs, ours = pair("keras_resnet", (1, 33, 21), **options)
        images, _ = parity.draw_batch((1, 33, 21), classes=10, size=8)
        with torch.no_grad():
            wanted = theirs.train()(torch.from_numpy(images)).numpy()
        np.testing.assert_allclose(ours.model(images.transpose(0, 2, 3, 1), training=True).numpy(), wanted, rtol=0, atol=1e-5)

    @pytest.mark.parametrize("what", ["digits", "random images"])
    @pytest.mark.parametrize("name", KERAS)
    def test_layers_statistics_gradients_and_steps_agree(self, name: str, what: str) -> None:
        found = measured(name, what)
        assert set(found["what"]) == set(parity.ALLOWED) - ({"running statistic"} if name == "keras_lenet" else set())
        assert found["within"].all(), found[~found["within"]]
        assert found["size"].min() > 0

    @pytest.mark.parametrize("name", KERAS)
    def test_digits_agree_much_more_closely(self, name: str) -> None:
        found = measured(name, "digits").groupby("what")
        assert found["difference"].max().drop(WEIGHTS).max() < 1e-5
        assert found["typical"].max()[WEIGHTS].max() < 1e-3

    def test_a_batch_of_one_image_does_not_update_the_running_statistics(self) -> None:
        theirs, ours = pair("keras_resnet")
        images, _ = parity.draw_batch((1, 8, 8), classes=10, size=1)
        with torch.no_grad():
            wanted = theirs.train()(torch.from_numpy(images)).numpy()
        np.testing.assert_allclose(ours.model(images.transpose(0, 2, 3, 1), training=True).numpy(), wanted, rtol=0, atol=1e-5)
        kept = [one.variable.numpy() for one in counterparts(theirs, ours) if not one.trained]
        assert {float(value) for values in kept for value in values} == {0.0, 1.0}

    @pytest.mark.parametrize("mean", [False, True])
    @pytest.mark.parametrize(("side", "window"), [(8, 2), (9, 2), (9, 4), (10, 4), (11, 4), (13, 5)])
    def test_windows_that_are_cut_pool_as_in_pytorch(self, side: int, window: int, mean: bool) -> None:
        images = np.random.default_rng(0).standard_normal((2, 3, side, 7), dtype=np.float32)
        kind = torch.nn.AvgPool2d if mean else torch.nn.MaxPool2d
        wanted = kind((window, 3), ceil_mode=True)(torch.from_numpy(images)).numpy().transpose(0, 2, 3, 1)
        import tensorflow as tf

        given = pool(tf.constant(images.transpose(0, 2, 3, 1)), (window, 3), mean=mean, name="pool").numpy()
        np.testing.assert_allclose(given, wanted, atol=1e-6)

    def test_copying_refuses_another_model(self) -> None:
        theirs, ours = pair("keras_resnet")[0], pair("keras_resnet", (1, 8, 8), 7)[1]
        with pytest.raises(ValueError, match="head/kernel"):
            copy_weights(theirs, ours)


class TestInitialWeights:
    @pytest.mark.parametrize("name", KERAS)
    def test_they_have_the_same_mean_and_spread_in_both_frameworks(self, name: str) -> None:
        torch.manual_seed(0)
        theirs, ours = (build(one, shape=(3, 32, 32), classes=100) for one in (twin(spec(name)), spec(name)))
        assert isinstance(theirs, Network)
        assert isinstance(ours, KerasNetwork)
        for one in counterparts(theirs, ours):
            wanted, given = one.tensor.detach().numpy(), one.variable.numpy()
            if wanted.std() == 0:
                assert set(np.unique(given)) == set(np.unique(wanted))
            else:
                assert given.std() == pytest.approx(wanted.std(), rel=5 / np.sqrt(wanted.size)), one.name
                assert abs(given.mean()) < 5 * wanted.std() / np.sqrt(wanted.size), one.name
                assert not np.array_equal(given, one.order(wanted))

    def test_they_follow_the_formulas(self) -> None:
        torch.manual_seed(1)
        width = 64
        ours = build(ModelSpec(name="keras_resnet", options={"width": width}), shape=(3, 8, 8), classes=50).model
        kernel, head = ours.get_layer("block1_conv1").kernel.numpy(), ours.get_layer("head").kernel.numpy()
        assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * width)), rel=0.02)
        assert np.abs(kernel).max() > 3 * kernel.std(), "He's normal distribution must not be truncated"
        assert np.abs(head).max() == pytest.approx(1 / np.sqrt(4 * width), rel=0.01)
        lenet = build(ModelSpec(name="keras_lenet"), shape=(3, 8, 8), classes=50).model
        assert np.abs(lenet.get_layer("c5").kernel.numpy()).max() == pytest.approx(np.sqrt(6 / (256 + 120)), rel=0.01)
        assert not lenet.get_layer("c5").bias.numpy().any()

    def test_they_depend_only_on_torchs_generator(self) -> None:
        def drawn(seed: int) -> np.ndarray:
            torch.manual_seed(seed)
            return build(spec("keras_resnet"), shape=(1, 8, 8), classes=10).model.get_layer("stem").kernel.numpy()

        np.testing.assert_array_equal(drawn(3), drawn(3))
        assert not np.array_equal(drawn(3), drawn(4))


class TestDefaults:
    def test_every_row_differs_between_the_frameworks(self) -> None:
        found = differing()
        assert len(found) >= 12
        assert (found["PyTorch"] != found["Keras"]).all()

    def test_settings_of_this_package_equal_those_of_pytorch(self) -> None:
        found = differing()
        same = found[found.index.str.contains("batch norm|stride|pooling|AdamW: epsilon|gradient of epsilon")]
        assert len(same) == 7
        assert (same["PyTorch"] == same["here"]).all()

    def test_batch_norm_takes_pytorchs_settings(self) -> None:
        layer = batch_norm("norm")
        assert (layer.epsilon, layer.momentum) == (torch.nn.BatchNorm2d(1).eps, pytest.approx(0.9))


def run_fresh(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | environment, check=False)


class TestStart:
    def test_nothing_imports_tensorflow_before_a_model_is_built(self) -> None:
        done = run_fresh(
            "import sys, pkgutil, importlib, imagestudy\n"
            "[importlib.import_module(m.name) for m in pkgutil.walk_packages(imagestudy.__path__, 'imagestudy.')\n"
            " if '.theme' not in m.name and not m.name.endswith('.__main__')]\n"
            "from imagestudy.experiments import grids\n"
            "grids.open_study('digits', 'smoke')\n"
            "assert not {'tensorflow', 'keras'} & set(sys.modules)"
        )
        assert (done.returncode, done.stderr) == (0, "")

    def test_it_prints_nothing_and_runs_on_tensorflow(self) -> None:
        done = run_fresh(
            "import imagestudy.models as m, torch\n"
            "from imagestudy.core.specs import ModelSpec\n"
            "m.build(ModelSpec(name='keras_resnet'), shape=(1, 8, 8), classes=2).model(torch.zeros(2, 8, 8, 1).numpy())\n"
            "import keras, tensorflow as tf\n"
            "assert keras.backend.backend() == 'tensorflow' and tf.config.threading.get_intra_op_parallelism_threads() == 1\n"
            "torch.use_deterministic_algorithms(True)\n"
            "torch.nn.Linear(2, 2)(torch.ones(1, 2)).sum().backward()",
            KERAS_BACKEND="torch",
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_other_messages_written_meanwhile_are_not_lost(self, capfd: pytest.CaptureFixture[str]) -> None:
        with runtime._quiet():
            os.write(2, b"I0000 00:00:1795615034.771950 4236 port.cc:153] oneDNN custom operations are on.\nsomething else\n")
        assert capfd.readouterr().err == "something else\n"

    def test_another_number_of_threads_is_refused_after_the_start(self) -> None:
        with pytest.raises(InputError, match=r"threads: 2 was given.*this process allows only 1"):
            start(threads=2)

    def test_without_tensorflow_the_error_says_how_to_install_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "tensorflow", None)
        runtime._import.cache_clear()
        with pytest.raises(InputError, match=r"TensorFlow is not installed.*pip install 'tensorflow"):
            build(ModelSpec(name="keras_lenet"), shape=(1, 8, 8), classes=2)
        assert isinstance(build(ModelSpec(name="lenet"), shape=(1, 8, 8), classes=2), Network)
