"""Tests of the pretrained network: its layers, loading and downloading weights, fine-tuning, saving, planning and reporting.

The tests create their own weights in the format of torchvision's file: a state dict with a file name that ends in the first digits
of its SHA-256.
"""

import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn
from torch.hub import HASH_REGEX
from typer.testing import CliRunner

from imagestudy import cli, data, inference, training
from imagestudy.analysis import recommendation
from imagestudy.core import paths
from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice, ModelSpec, RunSpec, TrainingSpec
from imagestudy.data import datasets
from imagestudy.experiments import grids, runner
from imagestudy.experiments.planning import cost_model, planner
from imagestudy.experiments.store import RunStore
from imagestudy.inference import predict
from imagestudy.models import Network, build, count_parameters, models, pretrained
from imagestudy.models.pretrained import WEIGHTS, enlarged, load_weights, starting_weights
from imagestudy.models.pretrained_weights import fetch_weights, remote_weights
from imagestudy.training import TorchLearner, make_learner

SMALL = Choice(name="probe", options={"n_train": 48, "n_validation": 12, "n_test": 12})
"""A few gray images of 32×32 pixels in two classes, so that training is cheap compared with the evaluation after it."""
WORK = cost_model.Work(950, 297, 500)
SPEEDS = {"mlp": 20_000.0, "resnet": 2_000.0, "bilstm": 5_000.0, "vit": 3_000.0}


@dataclass(frozen=True)
class Published:
    """Torchvision's network with some weights, and the file of these weights."""

    network: nn.Module
    file: Path


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Use one thread: on busy cores, two threads that wait for each other take many times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Return a network in which every weight and statistic differs from its initial value.

    The statistics come from a batch, so that signals pass through all layers.
    """
    torch.manual_seed(7)
    network = torchvision.models.resnet18()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 0.5
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.1)
    with torch.no_grad():
        network.train()(torch.randn(8, 3, 64, 64))
    raw = tmp_path_factory.mktemp("published") / "raw.pth"
    torch.save(network.state_dict(), raw)
    digits = hashlib.sha256(raw.read_bytes()).hexdigest()[:8]
    return Published(network, raw.rename(raw.with_name(f"resnet18-{digits}.pth")))


@pytest.fixture
def away(published: Published, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Let torchvision know only these weights, at an address without a server; they are not in the data folder."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/models/{published.file.name}"
        know(monkeypatch, url)
        yield url


@pytest.fixture
def here(away: str, published: Published) -> Path:
    """As `away`, but the file is in the data folder, as if copied there by hand."""
    del away
    folder = paths.weights_folder()
    folder.mkdir(parents=True)
    (folder / published.file.name).hardlink_to(published.file)
    return folder / published.file.name


def know(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr(torchvision.models, "get_weight", {WEIGHTS: SimpleNamespace(url=url)}.__getitem__)


def made(shape: tuple[int, int, int] = (3, 64, 64), classes: int = 10, **options: int) -> Network:
    network = build(ModelSpec(name="resnet18", options=options), shape=shape, classes=classes)
    assert isinstance(network, Network)
    return network


def images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def pooled(published: nn.Module, given: torch.Tensor) -> torch.Tensor:
    """Return the features that torchvision's network passes to its head."""
    return nn.Sequential(*list(published.children())[:-1])(given).flatten(1)


def run(name: str = "none", *, seen: int = 32, **training: object) -> RunSpec:
    recipe = TrainingSpec(images_seen=seen, batch=16, **training)
    return RunSpec(dataset=SMALL, model=ModelSpec(name="resnet18"), remedy=Choice(name=name), training=recipe)


def fitted(spec: RunSpec) -> TorchLearner:
    given = data.prepare(spec)
    watch = (given.validation.images, given.validation.labels)
    learner = make_learner(spec, classes=len(given.classes), watch=watch, points=0).fit(given.train.images, given.train.labels)
    assert isinstance(learner, TorchLearner)
    return learner


class TestTheNetwork:
    @pytest.mark.parametrize("training", [False, True])
    def test_its_pooled_features_are_torchvisions_bit_for_bit(self, published: Published, training: bool) -> None:
        network, theirs = made(), torchvision.models.resnet18()
        load_weights(network, published.file)
        theirs.load_state_dict(published.network.state_dict())
        given = images(4, 3, 64, 64)
        with torch.no_grad():
            expected = pooled(theirs.train(training), given)
            found = network.train(training)
            torch.testing.assert_close(found.pool(found.features(given)), expected, atol=0, rtol=0)
        assert expected.std() > 0.1

    @pytest.mark.parametrize("classes", [2, 10])
    def test_it_has_torchvisions_parameters_except_for_a_new_head(self, classes: int) -> None:
        known = torchvision.models.get_weight(WEIGHTS).meta["num_params"]
        assert known == 11_689_512
        assert count_parameters(made(classes=classes)) == known - (512 + 1) * 1000 + (512 + 1) * classes

    def test_a_gray_image_equals_a_color_image_with_equal_channels_and_the_sum_of_the_first_kernels(
        self, published: Published
    ) -> None:
        gray, color = made((1, 64, 64)).eval(), made().eval()
        for network in (gray, color):
            load_weights(network, published.file)
        given = images(2, 1, 64, 64)
        with torch.no_grad():
            found = gray.features(given)
            torch.testing.assert_close(found, color.features(given.repeat(1, 3, 1, 1)), atol=0, rtol=0)
            first = gray.features.layers.conv1
            summed = nn.functional.conv2d(given, first.weight.sum(dim=1, keepdim=True), stride=2, padding=3)
            torch.testing.assert_close(first(given.expand(-1, 3, -1, -1)), summed, atol=1e-5, rtol=1e-5)

    def test_a_small_image_is_enlarged(self, published: Published) -> None:
        small, large = made((3, 16, 16)).eval(), made().eval()
        for network in (small, large):
            load_weights(network, published.file)
        given = images(2, 3, 16, 16)
        grown = nn.functional.interpolate(given, size=(64, 64), mode="bilinear")
        with torch.no_grad():
            torch.testing.assert_close(small.features(given), large.features(grown))

    @pytest.mark.parametrize(
        ("given", "side", "seen"),
        [
            ((64, 64), 64, (64, 64)),
            ((8, 8), 64, (64, 64)),
            ((8, 8), 32, (32, 32)),
            ((224, 224), 64, (224, 224)),
            ((5, 40), 64, (8, 64)),
            ((1, 1000), 64, (1, 1000)),
            ((1, 32), 96, (3, 96)),
        ],
    )
    def test_the_longer_side_is_enlarged_in_proportion_and_never_reduced(self, given: tuple, side: int, seen: tuple) -> None:
        assert enlarged(*given, side=side) == seen

    @pytest.mark.parametrize("shape", [(1, 8, 8), (3, 33, 21), (1, 5, 40), (1, 1, 1), (3, 100, 64)])
    def test_any_size_is_supported_in_gray_and_color(self, shape: tuple[int, int, int]) -> None:
        network = made(shape, 3).eval()
        with torch.no_grad():
            features = network.features(images(2, *shape))
            assert features.shape[1] == network.head.in_features
            assert network(images(2, *shape)).shape == (2, 3)

    @pytest.mark.parametrize(
        ("shape", "options", "said"),
        [
            ((2, 8, 8), {}, "images of 2 channels were given; allowed are 1 .gray. and 3 .RGB."),
            ((3, 8, 8), {"side": 16}, "model 'resnet18', side: 16 was given"),
            ((3, 8, 8), {"width": 16}, "unknown key 'width' of model 'resnet18'"),
        ],
    )
    def test_an_invalid_shape_or_option_gives_a_clear_error(self, shape: tuple, options: dict, said: str) -> None:
        with pytest.raises(InputError, match=said):
            made(shape, **options)

    def test_a_batch_of_one_image_with_one_position_can_be_trained_on(self) -> None:
        network = made((3, 32, 32), side=32).train()
        network(images(1, 3, 32, 32)).sum().backward()
        assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())

    def test_it_memorizes_a_batch(self) -> None:
        torch.manual_seed(0)
        network, given, labels = made((1, 8, 8), side=32).train(), images(8, 1, 8, 8), torch.arange(8) % 4
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
        for _ in range(25):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(given), labels)
            loss.backward()
            optimizer.step()
        assert loss < 0.1


class TestLoading:
    @pytest.mark.parametrize("counted", [True, False])
    def test_the_head_stays_and_everything_else_comes_from_the_file(
        self, published: Published, tmp_path: Path, counted: bool
    ) -> None:
        """Files written before PyTorch 0.4.1 contain no batch counts of batch norm layers."""
        theirs = torch.load(published.file, weights_only=True)
        if not counted:
            theirs = {name: value for name, value in theirs.items() if not name.endswith("num_batches_tracked")}
        torch.save(theirs, tmp_path / "weights.pth")
        network = made()
        before = {name: value.clone() for name, value in network.state_dict().items()}
        drawn = torch.get_rng_state()
        load_weights(network, tmp_path / "weights.pth")
        assert torch.equal(torch.get_rng_state(), drawn)
        for name, value in network.state_dict().items():
            if name.startswith("head."):
                assert torch.equal(value, before[name])
            elif counted or not name.endswith("num_batches_tracked"):
                assert torch.equal(value, theirs[name.removeprefix("features.layers.")])
                assert not torch.equal(value, before[name])

    def test_a_file_that_would_run_code_is_not_opened(self, tmp_path: Path) -> None:
        torch.save({"conv1.weight": Path("/")}, tmp_path / "weights.pth")
        with pytest.raises(Exception, match="Weights only load failed"):
            load_weights(made(), tmp_path / "weights.pth")

    def test_building_asks_for_no_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a file was read"))
        monkeypatch.setattr(torchvision.models, "get_weight", lambda _: pytest.fail("weights were asked for"))
        made()
        grids.open_study("template", "smoke")


class TestFetching:
    def test_address_and_checksum_are_torchvisions(self) -> None:
        remote, theirs = remote_weights(WEIGHTS), torchvision.models.ResNet18_Weights.IMAGENET1K_V1
        found = HASH_REGEX.search(remote.name)
        assert remote.urls == (theirs.url,)
        assert theirs.url.endswith(f"/{remote.name}")
        assert found is not None
        assert re.fullmatch(r"[0-9a-f]{8,}", found[1])
        assert remote.digest == f"sha256:{found[1]}"

    def test_a_file_put_there_by_hand_is_used(self, here: Path) -> None:
        assert fetch_weights(WEIGHTS) == here

    def test_two_simultaneous_requests_download_the_file_once(self, published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                asked.append(self.path)

        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=published.file.parent)) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            know(monkeypatch, f"http://127.0.0.1:{server.server_port}/{published.file.name}")
            with ThreadPoolExecutor(2) as pool:
                files = list(pool.map(fetch_weights, [WEIGHTS] * 2))
            server.shutdown()
            thread.join()
        assert files == [paths.weights_folder() / published.file.name] * 2
        assert files[0].read_bytes() == published.file.read_bytes()
        assert asked == [f"/{published.file.name}"]

    def test_without_a_connection_the_error_says_which_file_to_put_where(self, away: str) -> None:
        with pytest.raises(InputError) as caught:
            fetch_weights(WEIGHTS)
        said = str(caught.value)
        assert all(word in said for word in ("could not be fetched", away, str(paths.weights_folder()), "IMAGESTUDY_DATA"))

    def test_another_file_under_that_name_is_refused(self, here: Path) -> None:
        content = bytearray(here.read_bytes())
        content[-1] ^= 1
        here.unlink()
        here.write_bytes(content)
        with pytest.raises(InputError, match=rf"the existing {here.name} has a different checksum"):
            fetch_weights(WEIGHTS)

    def test_the_command_says_where_they_are_or_what_to_do(self, here: Path) -> None:
        found = CliRunner().invoke(cli.app, ["weights"])
        assert (found.exit_code, found.output) == (0, f"resnet18: {here}\n")
        here.unlink()
        lacking = CliRunner().invoke(cli.app, ["weights"])
        assert lacking.exit_code == 2
        assert f"put the following into {here.parent}" in lacking.output

    def test_a_study_without_them_fails_before_training_and_a_recorded_study_does_not_need_them(
        self, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plain = run().with_(model=ModelSpec(name="article"))
        moved = here.rename(here.with_name("elsewhere"))
        with pytest.raises(InputError, match=rf"^{here.name} could not be fetched"):
            runner.obtain([plain, run()], study="tiny", workers=1)
        assert RunStore(paths.store_file("tiny")).status() == {}
        moved.rename(here)
        assert len(runner.obtain([plain, run()], study="tiny", workers=1)) == 2
        here.unlink()
        monkeypatch.setenv("IMAGESTUDY_TRAIN", "never")
        assert len(runner.obtain([plain, run()], study="tiny", workers=1)) == 2


@pytest.mark.usefixtures("here")
class TestTheLearner:
    def test_training_starts_at_the_published_weights(self, published: Published) -> None:
        """With a tiny learning rate the weights do not move; the running statistics still follow the images."""
        network = fitted(run(seen=16, learning_rate=1e-12)).network
        theirs = dict(published.network.named_parameters())
        for name, weight in network.features.layers.named_parameters():
            torch.testing.assert_close(weight, theirs[name], atol=1e-9, rtol=1e-6)

    def test_equal_runs_predict_the_same_bit_for_bit_and_a_run_without_the_weights_differs(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shown = data.prepare(run()).validation.images
        first, again = (fitted(run()).predict_log_proba(shown) for _ in range(2))
        np.testing.assert_array_equal(again, first)
        monkeypatch.setattr(training.torch_learner, "load_weights", lambda *_: None)
        assert np.abs(fitted(run()).predict_log_proba(shown) - first).max() > 1e-2

    @pytest.mark.parametrize("name", ["crt", "ldam", "ncm"])
    def test_a_remedy_with_its_own_head_starts_at_the_published_weights_too(self, published: Published, name: str) -> None:
        learner = fitted(run(name, learning_rate=1e-12))
        first = learner.network.features.layers.conv1.weight
        torch.testing.assert_close(first, published.network.conv1.weight, atol=1e-9, rtol=1e-6)
        assert np.isfinite(learner.predict_log_proba(data.prepare(run()).validation.images)).all()

    def test_its_learning_rate_is_below_that_of_networks_with_random_weights(self) -> None:
        facts = models.entry("resnet18").facts
        assert facts["learning_rate"] == pretrained.RATE < planner.RATE < training.LEARNING_RATE
        assert starting_weights("resnet18") == WEIGHTS
        assert [name for name in models.names() if starting_weights(name)] == ["resnet18"]


class TestSaved:
    def test_a_saved_model_is_loaded_used_and_exported_to_onnx_without_the_file_of_weights(
        self, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shown = data.test_part(run()).images[:6]
        folder = inference.save(run(seen=64), tmp_path / "model", scores={}, provenance={})
        expected = fitted(run(seen=64)).predict_log_proba(shown)
        here.unlink()
        monkeypatch.setattr(training.torch_learner, "fetch_weights", lambda _: pytest.fail("weights were asked for"))
        opened = inference.load(folder)
        np.testing.assert_array_equal(opened.predict_log_proba(shown), expected)
        assert np.ptp(expected, axis=0).max() > 1e-2
        session = onnxruntime.InferenceSession(
            inference.write_onnx(folder, tmp_path / "m.onnx"), providers=["CPUExecutionProvider"]
        )
        for number in (1, 6):
            (said,) = session.run(["probabilities"], {"images": shown[:number]})
            np.testing.assert_allclose(said, opened.predict_proba(shown[:number]), atol=1e-5)
        (tmp_path / "new").mkdir()
        for place, one in enumerate(shown):
            Image.fromarray(one[:, :, 0]).save(tmp_path / "new" / f"{place}.png")
        predict.predict(folder, tmp_path / "new", tmp_path / "said.csv", batch=4, workers=1)
        table = pd.read_csv(tmp_path / "said.csv")
        np.testing.assert_allclose(table[[*opened.classes]].to_numpy(), opened.predict_proba(shown), atol=1e-4)


def small_plan(**changes: object) -> grids.Plan:
    plan = grids.open_study("template", "smoke")
    return grids.Plan(plan.study.model_copy(update=changes), plan.effort)


class TestPlanningAndReport:
    @pytest.fixture
    def dataset(self, monkeypatch: pytest.MonkeyPatch) -> datasets.Dataset:
        monkeypatch.setattr(planner, "measure", lambda *_, **__: 100.0)
        return datasets.load(Choice(name="digits"))

    @pytest.mark.usefixtures("here")
    def test_it_takes_part_once_the_budget_reaches_the_minutes_in_the_reason(self, dataset: datasets.Dataset) -> None:
        speeds, left_out = planner.invite_pretrained(SPEEDS, dataset, WORK, allowed_s=600.0, cores=2)
        assert speeds == SPEEDS
        found = re.search(
            r"on 100 images per second, .* takes at least (\d+) minutes; the budget is 10 minutes$", left_out["resnet18"]
        )
        assert found is not None
        enough, short = 60.0 * int(found[1]), 60.0 * (int(found[1]) - 1)
        speeds, left_out = planner.invite_pretrained(SPEEDS, dataset, WORK, allowed_s=enough, cores=2)
        assert speeds == SPEEDS | {"resnet18": 100.0}
        assert left_out == {}
        assert planner.fit(speeds, WORK, allowed_s=enough, cores=2).images_seen >= planner.LEAST_PRETRAINED
        assert planner.invite_pretrained(SPEEDS, dataset, WORK, allowed_s=short, cores=2)[1]

    @pytest.mark.usefixtures("away")
    def test_without_its_weights_it_is_left_out_however_large_the_budget(self, dataset: datasets.Dataset) -> None:
        speeds, left_out = planner.invite_pretrained(SPEEDS, dataset, WORK, allowed_s=1e9, cores=2)
        assert speeds == SPEEDS
        assert re.match(r"its weights were not in the data folder and could not be fetched \(127.0.0.1", left_out["resnet18"])

    @pytest.mark.usefixtures("here")
    def test_its_speed_is_measured(self) -> None:
        digits = datasets.load(Choice(name="digits"))
        assert 1 < cost_model.measure("resnet18", digits, params=planner.PARAMS[0], images=64) < 100_000

    def test_the_report_says_whether_it_took_part_and_why_not(self) -> None:
        note = recommendation.pretrained_note
        took_part = note(small_plan(crossed=("mlp", "resnet18")))
        assert "The candidate resnet18 is pretrained on ImageNet (Deng et al. 2009; He et al. 2016)" in took_part
        assert "random weights" not in took_part
        unlisted, left_out = note(small_plan()), note(small_plan(left_out={"resnet18": "too <slow>"}))
        assert "resnet18 was not tried: the study does not list it as a candidate. All networks" in unlisted
        assert "was not tried: too &lt;slow&gt;. All networks started from random weights." in left_out
