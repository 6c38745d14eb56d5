"""A saved model predicts what its run predicted, bit for bit; a damaged one gives a clear error; ONNX agrees with PyTorch."""

import json
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors.torch
import torch

from imagestudy import data, inference
from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice, ModelSpec, PreprocessingSpec, ProfileSpec, RunSpec, TrainingSpec
from imagestudy.experiments import runner
from imagestudy.experiments.codec import round_log_probabilities
from imagestudy.experiments.records import decided
from imagestudy.experiments.versions import stamp
from imagestudy.inference import networks
from imagestudy.inference.files import put_folder
from imagestudy.inference.format import DESCRIPTION_NAME, WEIGHTS_NAME, Description, digest_of, plain, to_json
from imagestudy.inference.load import trained_run
from imagestudy.inference.save import COLORS, _choose
from imagestudy.metrics import classification
from imagestudy.models import build, models
from imagestudy.remedies import remedy as chosen_remedy
from imagestudy.remedies.heads import SavedHead
from imagestudy.remedies.posthoc import adjust
from imagestudy.training import ClassicalLearner, make_learner

TRAINED = [
    ("article", "none"),
    ("mlp", "tau_norm"),
    ("perceptron", "ldam"),
    ("lenet", "mixup"),
    ("resnet", "crt"),
    ("elman", "balanced_softmax"),
    ("bilstm", "lws"),
    ("vit", "ncm"),
    ("crnn", "none"),
    ("svm", "class_weights"),
    ("knn", "over_sampling"),
    ("majority", "none"),
]
DERIVED = [("article", "logit_adjustment"), ("resnet", "logit_adjustment_tuned"), ("svm", "logit_adjustment_tuned")]
CELLS = [*TRAINED, *DERIVED]
SMALLEST = {"article": 5, "mlp": 6, "resnet": 4, "bilstm": 4, "vit": 6, "crnn": 5}


def run(model: str = "article", remedy: str = "none", **fields: object) -> RunSpec:
    given = {
        "dataset": Choice(name="digits"),
        "model": ModelSpec(name=model, params=6_000 if model in ("article", "resnet") else None),
        "training": TrainingSpec(images_seen=512),
        "profile": ProfileSpec(name="exponential", ratio=20.0),
        "remedy": Choice(name=remedy),
    }
    return RunSpec(**(given | fields))


def save(folder: Path, *names: str, **fields: object) -> Path:
    return inference.save(run(*names, **fields), folder / "model", scores={"test": 0.5}, provenance={"study": "tiny"})


def held_out(spec: RunSpec) -> np.ndarray:
    """Return more images than fit into one batch."""
    return np.concatenate([data.test_part(spec).images, data.prepare(spec).validation.images])


def random_images(number: int, side: int, channels: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (number, side, side, channels), dtype=np.uint8)


def edit(folder: Path, change: Callable[[dict], object]) -> None:
    file = folder / DESCRIPTION_NAME
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")


def put_weights(folder: Path, content: bytes) -> None:
    """Replace the weights and update the digest to match."""
    (folder / WEIGHTS_NAME).write_bytes(content)
    edit(folder, lambda facts: facts.update(digest=digest_of(content)))


class TestAgainstItsRun:
    @pytest.mark.parametrize(("model", "remedy"), CELLS)
    def test_it_predicts_what_the_learner_predicts_bit_for_bit(self, model: str, remedy: str, tmp_path: Path) -> None:
        spec = trained_run(stamp(run(model, remedy)))
        prepared = data.prepare(spec)
        watch = (prepared.validation.images, prepared.validation.labels)
        learner = make_learner(spec, classes=10, watch=watch).fit(prepared.train.images, prepared.train.labels)
        opened = inference.load(save(tmp_path, model, remedy))
        expected = learner.predict_log_proba(held_out(spec))
        np.testing.assert_array_equal(opened.speak(held_out(spec)), expected)
        if (model, remedy) in DERIVED:
            expected = adjust(expected, prepared.counts, tau=opened.description.tau)
        np.testing.assert_array_equal(opened.predict_log_proba(held_out(spec)), expected)

    @pytest.mark.parametrize(("model", "remedy"), CELLS)
    def test_it_predicts_what_the_store_recorded(self, model: str, remedy: str, tmp_path: Path) -> None:
        (record,) = found = runner.obtain([run(model, remedy)], study="tiny", workers=1)
        opened, images = inference.load(save(tmp_path, model, remedy)), data.test_part(run()).images
        facts, said = opened.description, round_log_probabilities(opened.speak(images))
        assert facts.run == record.spec
        assert list(facts.counts) == record.facts["counts"]
        assert facts.temperature == record.facts["temperature"]
        assert facts.validation == record.validation["balanced_accuracy"]
        assert facts.tau == record.facts.get("tau")
        expected = said if facts.tau is None else adjust(said, np.array(facts.counts), tau=facts.tau)
        np.testing.assert_array_equal(record.arrays["test"], expected)
        if facts.tau is None:
            decisions = opened.predict_log_proba(images).argmax(axis=1)
            np.testing.assert_array_equal(decisions, decided(record, found.test_labels()))

    def test_another_seed_and_a_moved_stream_are_those_of_the_run(self, tmp_path: Path) -> None:
        spec = run("mlp").with_(seed=3).moved("init")
        (record,) = runner.obtain([spec], study="tiny", workers=1)
        opened = inference.load(inference.save(spec, tmp_path / "model", scores={}, provenance={}))
        said = round_log_probabilities(opened.predict_log_proba(data.test_part(spec).images))
        np.testing.assert_array_equal(said, record.arrays["test"])

    def test_the_temperature_changes_probabilities_but_not_the_predicted_class(self, tmp_path: Path) -> None:
        opened, images = inference.load(save(tmp_path, "resnet", "logit_adjustment")), held_out(run())
        log, proba, heat = opened.predict_log_proba(images), opened.predict_proba(images), opened.description.temperature
        assert heat != 1
        np.testing.assert_allclose(proba.sum(axis=1), 1)
        np.testing.assert_array_equal(proba.argmax(axis=1), log.argmax(axis=1))
        np.testing.assert_allclose(np.diff(np.log(proba)), np.diff(log) / heat, atol=1e-9)

    def test_images_of_another_size_are_refused_and_zero_images_are_allowed(self, tmp_path: Path) -> None:
        opened = inference.load(save(tmp_path))
        with pytest.raises(InputError, match=r"^the images are 9×9×1, but the model takes 8×8×1 \(height, width, channels\)$"):
            opened.predict_log_proba(random_images(2, 9, 1))
        assert opened.predict_proba(random_images(0, 8, 1)).shape == (0, 10)

    def test_a_model_without_a_validation_error_does_not_become_more_confident(self, monkeypatch: pytest.MonkeyPatch) -> None:
        spec = run()
        prepared = data.prepare(spec)
        labels = prepared.validation.labels
        sure = np.log(np.where(np.eye(10)[labels] == 1, 0.91, 0.01))

        learner = object.__new__(ClassicalLearner)
        monkeypatch.setattr(ClassicalLearner, "predict_log_proba", lambda *_: sure)
        assert _choose(spec, learner, prepared)["temperature"] == 1.0
        sure[0] = np.roll(sure[0], 1)
        assert sure[0].argmax() != labels[0]
        fitted = classification.fit_temperature(classification.normalize(round_log_probabilities(sure)), labels)
        assert _choose(spec, learner, prepared)["temperature"] == round(fitted, 4) != 1.0

    def test_predicting_changes_neither_threads_nor_the_random_state(self, tmp_path: Path) -> None:
        folder = save(tmp_path, "vit")
        torch.set_num_threads(2)
        before = torch.get_rng_state()
        inference.load(folder).predict_proba(held_out(run()))
        assert torch.get_num_threads() == 2
        assert torch.equal(torch.get_rng_state(), before)


class TestTheFiles:
    def test_there_are_two_files_with_the_facts_of_the_model(self, tmp_path: Path) -> None:
        folder = save(tmp_path, "resnet", "logit_adjustment")
        assert sorted(file.name for file in tmp_path.iterdir()) == ["model"]
        assert sorted(file.name for file in folder.iterdir()) == [DESCRIPTION_NAME, WEIGHTS_NAME]
        facts = json.loads((folder / DESCRIPTION_NAME).read_text(encoding="utf-8"))
        assert facts["classes"] == list("0123456789")
        assert facts["images"] == {"side": 8, "channels": 1, "fit": "stretch", "colours": "grey"}
        assert facts["model"]["options"] == {"width": 12}
        assert facts["run"] == stamp(run("resnet", "logit_adjustment")).canonical()
        assert (facts["tau"], facts["remedy"], facts["scores"]) == (1.0, "logit_adjustment", {"test": 0.5})
        assert facts["provenance"]["study"] == "tiny"
        assert facts["provenance"]["versions"].keys() >= {"python", "torch", "imagestudy"}

    def test_normalisation_is_that_of_the_training_images(self, tmp_path: Path) -> None:
        facts, seen = inference.load(save(tmp_path)).description, data.prepare(run()).train.images / 255
        assert facts.normalisation is not None
        np.testing.assert_allclose(
            [*facts.normalisation.mean, *facts.normalisation.deviation], [seen.mean(), seen.std()], rtol=1e-6
        )

    @pytest.mark.parametrize("remedy", ["none", "logit_adjustment"])
    def test_the_code_in_the_docstring_needs_only_torch_and_safetensors(
        self, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder, images = save(tmp_path, "article", remedy), held_out(run())
        code = textwrap.dedent("\n".join(line for line in (inference.__doc__ or "").splitlines() if line.startswith("    ")))
        assert "imagestudy" not in code
        monkeypatch.chdir(folder)
        with (folder / DESCRIPTION_NAME).open(encoding="utf-8") as stream:
            names = {"bytes_nchw": torch.tensor(images).permute(0, 3, 1, 2), "open": lambda _: stream}
            exec(code, names)
        np.testing.assert_allclose(names["probabilities"].numpy(), inference.load(folder).predict_proba(images), atol=1e-6)

    def test_scores_of_any_kind_become_json(self) -> None:
        given = {"a": np.float32(0.5), "b": float("nan"), "c": [np.int64(3), (True, None)], 4: Path("x"), "d": np.arange(2)}
        assert plain(given) == {"a": 0.5, "b": None, "c": [3, [True, None]], "4": "x", "d": [0, 1]}

    def test_a_model_replaces_an_earlier_one_and_keeps_other_files(self, tmp_path: Path) -> None:
        folder = save(tmp_path)
        (folder / "notes.txt").write_text("mine")
        assert save(tmp_path, "mlp") == folder
        assert inference.load(folder).description.model.name == "mlp"
        assert (folder / "notes.txt").read_text() == "mine"
        assert [file.name for file in tmp_path.iterdir()] == ["model"]

    def test_a_failed_save_keeps_the_earlier_model(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = save(tmp_path)
        before = {file.name: file.read_bytes() for file in folder.iterdir()}
        monkeypatch.setattr(Path, "write_bytes", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            save(tmp_path, "mlp")
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
        assert [file.name for file in tmp_path.iterdir()] == ["model"]

    def test_an_existing_file_instead_of_the_folder_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "model").write_text("")
        with pytest.raises(InputError, match=r"model is a file; a model needs a folder$"):
            save(tmp_path)


class TestRefused:
    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"remedy": "seed_ensemble"}, "remedy 'seed_ensemble' combines several trained models"),
            ({"remedy": "tuned"}, "remedy 'tuned' chooses its settings by trials"),
            ({"kind": "trial"}, "a run of kind 'trial' has no score"),
            (
                {"preprocessing": PreprocessingSpec(noise=Choice(name="gaussian"))},
                "adds noise or preprocessing steps to its images",
            ),
            (
                {"preprocessing": PreprocessingSpec(steps=(Choice(name="median"),))},
                "adds noise or preprocessing steps to its images",
            ),
            ({"model": models.names(kind="keras")[0]}, "is a Keras model"),
        ],
    )
    def test_a_model_that_cannot_be_saved(self, fields: dict, said: str, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=f"^this model cannot be saved: .*{said}"):
            save(tmp_path, **fields)
        assert list(tmp_path.iterdir()) == []

    def test_a_run_on_a_missing_device(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        with pytest.raises(InputError, match="training needs a CUDA device, and this machine has none"):
            save(tmp_path, training=TrainingSpec(images_seen=512, device="cuda"))


def drop(key: str) -> Callable[[dict], object]:
    return lambda facts: facts.pop(key)


def put(**values: object) -> Callable[[dict], object]:
    return lambda facts: facts.update(values)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("whole"))


class TestDamaged:
    @pytest.fixture
    def folder(self, whole: Path, tmp_path: Path) -> Path:
        put_folder(tmp_path / "model", {file.name: file.read_bytes() for file in whole.iterdir()})
        return tmp_path / "model"

    @pytest.mark.parametrize("name", [DESCRIPTION_NAME, WEIGHTS_NAME])
    def test_a_missing_file_is_named(self, name: str, folder: Path) -> None:
        (folder / name).unlink()
        with pytest.raises(
            InputError, match=rf"^no model in '.*model': {name} is missing; a study with a recommendation writes such a folder$"
        ):
            inference.load(folder)
        with pytest.raises(InputError, match=r"^no model in '.*nowhere': model.json is missing"):
            inference.load(folder / "nowhere")
        with pytest.raises(InputError, match=r"^no model in .*: model.json cannot be read: Not a directory$"):
            inference.load(folder / (WEIGHTS_NAME if name == DESCRIPTION_NAME else DESCRIPTION_NAME))

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (put(format=2), r"model.json has format 2; this version of imagestudy reads format 1$"),
            (drop("format"), r"model.json does not describe a model: key 'format' is missing$"),
            (drop("temperature"), r"^key 'temperature' of the model is missing in .*model.json$"),
            (put(colour="red"), r"^unknown key 'colour' of the model in .*model.json$"),
            (put(temperature=0.0), r"^the model, temperature: 0.0 was given in .*; input should be greater than 0$"),
            (put(classes=["0", "1"]), r"counts has 10 entries for 2 classes"),
            (
                put(normalisation={"mean": [0.1, 0.2], "deviation": [0.1, 0.2]}),
                r"the normalisation needs one mean and one deviation for each of 1 channels",
            ),
            (put(head=None), r"a network needs normalisation and head"),
            (
                lambda facts: facts["images"].update(side=9),
                r"weights 'features.layers.0.weight' are .* \(\d+, 64\); .* 81\)$",
            ),
            (
                lambda facts: facts["model"]["options"].update(width=7),
                r"weights .* are torch.float32 .* \(7, 64\)$",
            ),
            (lambda facts: facts["model"].update(name="mlp", options={}), r"has no weights 'features.layers.0.linear.weight'"),
            (lambda facts: facts["head"].update(bias=False), r"contains weights 'head.bias', which the network .* does not have$"),
            (
                lambda facts: facts["head"].update(kind="scaled"),
                r"model.json: the head cannot be restored: a head of kind 'scaled' was given; .* makes 'linear'$",
            ),
            (lambda facts: facts["model"].update(name="articel"), r"unknown model 'articel' in .*; did you mean 'article'\?$"),
            (lambda facts: facts["model"].update(version=7), r"model 'article' is at version 1, not 7 in .*model.json$"),
            (
                lambda facts: facts["run"].update(remedy={"name": "none", "source": "abc"}),
                r"model.json: remedy 'none' is described from another version of its plug-in$",
            ),
            (lambda facts: facts["model"].update(name="keras_resnet", options={}), r"model 'keras_resnet' is no PyTorch network$"),
        ],
    )
    def test_an_error_in_the_description_is_named(self, change: Callable, said: str, folder: Path) -> None:
        edit(folder, change)
        with pytest.raises(InputError, match=said) as raised:
            inference.load(folder)
        assert "\n" not in str(raised.value)
        assert len(str(raised.value)) < 600

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
    def test_a_description_that_is_not_json(self, content: bytes, folder: Path) -> None:
        (folder / DESCRIPTION_NAME).write_bytes(content)
        with pytest.raises(InputError, match=r"model.json is damaged: it cannot be read as JSON$"):
            inference.load(folder)

    def test_a_description_that_is_a_list(self, folder: Path) -> None:
        (folder / DESCRIPTION_NAME).write_bytes(b"[1]")
        with pytest.raises(InputError, match="does not describe a model"):
            inference.load(folder)

    def test_a_flipped_bit_and_the_weights_of_another_model(self, folder: Path, tmp_path: Path) -> None:
        content = bytearray((folder / WEIGHTS_NAME).read_bytes())
        content[-1] ^= 1
        other = (save(tmp_path / "other", "mlp") / WEIGHTS_NAME).read_bytes()
        for wrong in (bytes(content), other, b""):
            (folder / WEIGHTS_NAME).write_bytes(wrong)
            with pytest.raises(
                InputError, match=r"model.safetensors is damaged, or does not belong to the model.json in the same folder"
            ):
                inference.load(folder)

    @pytest.mark.parametrize("keep", [0, 4, 100, -1])
    def test_truncated_weights_with_the_right_digest(self, keep: int, folder: Path) -> None:
        put_weights(folder, (folder / WEIGHTS_NAME).read_bytes()[:keep])
        with pytest.raises(InputError, match=r"model.safetensors is damaged: ") as raised:
            inference.load(folder)
        assert "\n" not in str(raised.value)

    def test_weights_of_another_type(self, folder: Path) -> None:
        weights = safetensors.torch.load((folder / WEIGHTS_NAME).read_bytes())
        put_weights(folder, safetensors.torch.save({name: one.double() for name, one in weights.items()}))
        with pytest.raises(InputError, match=r"are torch.float64 .*; the network .* needs torch.float32"):
            inference.load(folder)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda t: t.pop("labels"), "has no tensor 'labels', which is needed to fit a classical model again$"),
            (
                lambda t: t.update(labels=t["labels"][1:].clone()),
                r"images are uint8 \(318, 8, 8, 1\) and labels are int64; needed are uint8 \(317",
            ),
            (lambda t: t.update(images=t["images"].float()), r"images are float32"),
            (lambda t: t["labels"].fill_(0), "the labels do not match the class counts in model.json"),
            (lambda t: t["labels"].fill_(-1), "the labels do not match the class counts in model.json"),
        ],
    )
    def test_a_classical_model_needs_its_images(self, change: Callable, said: str, tmp_path: Path) -> None:
        folder = save(tmp_path, "knn")
        tensors = safetensors.torch.load((folder / WEIGHTS_NAME).read_bytes())
        change(tensors)
        put_weights(folder, safetensors.torch.save(tensors))
        with pytest.raises(InputError, match=said):
            inference.load(folder)


def drawn(folder: Path, name: str, head: SavedHead | None = None, *, remedy: str = "none", tau: float | None = 0.7) -> Path:
    """Save a model with random weights and statistics for RGB images of side 12, confident enough that rounding would show."""
    torch.manual_seed(1)
    spec, classes = ModelSpec(name=name, options={"width": SMALLEST[name]} if name in SMALLEST else {}), tuple("äbcd")
    network = build(spec, shape=(3, 12, 12), classes=len(classes))
    head = head or SavedHead()
    network.head = chosen_remedy(Choice(name=remedy)).head.restore(head, network.head)
    weights = networks.keep_weights(network)
    for key, value in weights.items():
        if "running" in key:
            value.copy_(torch.rand_like(value) + 0.5)
        if key.endswith(("head.weight", "factors")):
            value.mul_(8 * torch.rand_like(value))
    content = safetensors.torch.save(weights)
    facts = Description.model_validate(
        {
            "format": 1, "classes": classes, "counts": (50, 20, 5, 1), "model": spec, "remedy": "none", "head": head, "layers": (),
            "images": {"side": 12, "channels": 3, "fit": "crop", "colours": "rgb"}, "tau": tau, "temperature": 0.8,
            "normalisation": {"mean": (0.4, 0.5, 0.6), "deviation": (0.2, 0.3, 0.1)}, "decision_temperature": None,
            "validation": 0.5, "digest": digest_of(content), "run": run(name, remedy), "scores": {}, "provenance": {},
        }
    )  # fmt: skip
    put_folder(folder / "model", {WEIGHTS_NAME: content, DESCRIPTION_NAME: to_json(facts)})
    return folder / "model"


HEADS = {
    "perceptron": (SavedHead(kind="cosine", scale=9.0), "ncm"),
    "lenet": (SavedHead(kind="scaled"), "lws"),
    "elman": (SavedHead(bias=False), "tau_norm"),
}


def ask_onnx(file: Path, images: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"images": images})


class TestOnnx:
    @pytest.mark.parametrize("name", models.names(kind="neural", pretrained=None))
    def test_it_agrees_with_pytorch_for_any_batch_size(self, name: str, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
        head, remedy = HEADS.get(name, (None, "none"))
        folder = drawn(tmp_path, name, head, remedy=remedy)
        file = inference.write_onnx(folder, tmp_path / "model.onnx")
        assert capfd.readouterr() == ("", "")
        opened = inference.load(folder)
        for number in (1, 7):
            images = random_images(number, 12, 3)
            (said,) = ask_onnx(file, images)
            expected = opened.predict_proba(images)
            assert said.dtype == np.float32
            np.testing.assert_allclose(said, expected, atol=1e-5)
        assert np.ptp(expected, axis=0).max() > 1e-2
        content = file.read_bytes()
        assert [word for word in (b"imagestudy", b"stack_trace", str(Path.cwd()).encode()) if word in content] == []

    def test_a_trained_model_predicts_the_probabilities_of_its_run(self, tmp_path: Path) -> None:
        folder, images = save(tmp_path, "resnet", "logit_adjustment_tuned"), held_out(run())
        session = onnxruntime.InferenceSession(
            inference.write_onnx(folder, tmp_path / "model.onnx"), providers=["CPUExecutionProvider"]
        )
        (said,) = session.run(["probabilities"], {"images": images})
        np.testing.assert_allclose(said, inference.load(folder).predict_proba(images), atol=1e-5)

    def test_the_file_describes_its_input_and_output(self, tmp_path: Path) -> None:
        proto = onnx.load(inference.write_onnx(drawn(tmp_path, "article"), tmp_path / "model.onnx"))
        (given,), (made,) = proto.graph.input, proto.graph.output
        sizes = [[one.dim_param or one.dim_value for one in part.type.tensor_type.shape.dim] for part in (given, made)]
        assert sizes == [["batch", 12, 12, 3], ["batch", 4]]
        assert (given.type.tensor_type.elem_type, made.type.tensor_type.elem_type) == (
            onnx.TensorProto.UINT8,
            onnx.TensorProto.FLOAT,
        )
        notes = {prop.key: json.loads(prop.value) for prop in proto.metadata_props}
        assert notes["classes"] == list("äbcd")
        assert notes["images"] == {"side": 12, "channels": 3, "fit": "crop", "colours": "rgb"}

    def test_a_classical_model_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"^model 'knn' in '.*' is classical; only networks can be exported as ONNX$"):
            inference.write_onnx(save(tmp_path, "knn"), tmp_path / "model.onnx")
        assert not (tmp_path / "model.onnx").exists()

    @pytest.mark.parametrize(
        ("name", "said"),
        [(".", "is a folder"), ("m.pt", "does not end in .onnx"), ("no/m.onnx", "folder '.*no' does not exist")],
    )
    def test_an_output_that_cannot_be_written_is_refused_first(self, name: str, said: str, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=said):
            inference.write_onnx(tmp_path / "nowhere", tmp_path / name)


def test_every_neural_model_without_a_weight_file_is_among_the_cells() -> None:
    assert set(models.names(kind="neural", pretrained=None)) <= {model for model, _ in TRAINED}
    assert COLORS.keys() == {1, 3}
