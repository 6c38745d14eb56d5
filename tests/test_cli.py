"""The command line says what was wrong in a sentence, leaves with 2, and writes nothing; what is right goes through every layer."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from imagestudy.cli import app
from imagestudy.core import paths

SMALL = """
dataset: digits
models: [majority, mlp]
params: 40_000
profiles: [{name: exponential, ratio: 5}]
crossed: [mlp]
remedies: [none, logit_adjustment]
training: {images_seen: 640}
efforts:
  smoke: {runs: 1, settings: 1, costs: []}
  default: {runs: 1, settings: 1, costs: []}
  full: {runs: 1, settings: 1, costs: []}
"""


def imagestudy(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def study_file(folder: Path, *changes: tuple[str, str]) -> str:
    text = SMALL
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = folder / "small.yaml"
    file.write_text(text, encoding="utf-8")
    return str(file)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--study", "digit"], ["unknown study 'digit'", "allowed: cifar10_jpeg, digits", "did you mean 'digits'"]),
        (["--effort", "huge"], ["unknown effort 'huge'", "smoke, default, full"]),
        (["-p", "rations=[20]"], ["rations", "allowed"]),
        (["-p", "ratios"], ["'ratios'", "NAME=VALUE"]),
    ],
)
@pytest.mark.parametrize("command", ["run", "notebooks"])
def test_a_wrong_word_is_refused_before_anything_runs(command, words, said):
    code, output = imagestudy(command, *words)
    assert code == 2
    assert all(part in " ".join(output.split()) for part in said)
    assert not paths.results_folder().exists() or not any(paths.results_folder().iterdir())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[majority, mlp]", "[majority, mpl]"), ["unknown model 'mpl'", "did you mean 'mlp'"]),
        (("[none, logit_adjustment]", "[none, prayer]"), ["unknown remedy 'prayer'", "balanced_softmax"]),
        (("name: exponential", "name: sloping"), ["'sloping'", "balanced", "exponential", "step"]),
        (("ratio: 5", "ratio: 0.5"), ["0.5", "greater than or equal to 1"]),
        (("ratio: 5", "ratio: 500"), ["ratio 500", "without an image", "95"]),
        (("params: 40_000", "params: 20"), ["20", "mlp"]),
        (("params: 40_000", "parameters: 40_000"), ["unknown key 'parameters'"]),
        (("dataset: digits", "dataset: digit"), ["'digit'", "allowed"]),
        (("efforts:", "efforts: ["), ["not readable as YAML"]),
        (("efforts:", "effort:"), ["'efforts'", "missing"]),
    ],
)
def test_a_fault_in_a_study_file_is_named_with_what_is_allowed(tmp_path, change, said):
    code, output = imagestudy("train", "--study", study_file(tmp_path, change))
    assert code == 2
    assert all(part in " ".join(output.split()) for part in said)
    assert not (paths.results_folder() / "small").exists()


def test_a_width_that_does_not_divide_is_refused_with_the_multiples_allowed():
    from imagestudy.core.errors import InputError
    from imagestudy.core.specs import ModelSpec
    from imagestudy.models import build

    with pytest.raises(InputError, match="33 was given; allowed are multiples of 2"):
        build(ModelSpec(name="vit", options={"width": 33}), shape=(1, 8, 8), classes=10)


def test_a_study_is_trained_once_and_its_runs_can_be_listed_and_pruned(tmp_path):
    study = study_file(tmp_path)
    code, output = imagestudy("train", "--study", study, "--workers", "1")
    assert code == 0, output
    code, again = imagestudy("train", "--study", study, "--workers", "1")
    assert code == 0
    assert "nothing is missing" in again
    _, listed = imagestudy("runs", "list", "--study", study)
    assert listed.count(" done") == len(listed.splitlines()) > 4
    _, pruned = imagestudy("runs", "prune", "--study", study)
    assert '"removed": 0' in pruned
    assert imagestudy("runs", "failed", "--study", study) == (0, "")
    assert "0 failed runs removed" in imagestudy("runs", "retry", "--study", study)[1]


def test_the_datasets_are_listed_with_their_licenses():
    code, output = imagestudy("datasets")
    assert code == 0
    assert all(word in output for word in ("digits", "probe", "CC BY 4.0", "1797"))


def test_the_command_is_installed_and_says_what_it_can():
    said = subprocess.run([sys.executable, "-m", "imagestudy.cli", "--help"], capture_output=True, text=True, check=True).stdout
    assert all(word in said for word in ("run", "train", "notebooks", "report", "runs", "datasets", "bench"))
