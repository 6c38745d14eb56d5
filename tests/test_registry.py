"""Tests of the registry: it finds functions by name and checks their options."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from imagestudy.core import plugins
from imagestudy.core.errors import InputError
from imagestudy.core.registry import Registry
from imagestudy.core.specs import Choice, ModelSpec
from imagestudy.models import models


@pytest.fixture
def pets() -> Registry:
    registry: Registry = Registry("pet")

    @registry.register("dog", version=3, legs=4, sound="woof")
    def dog(yard: str, *, age: Annotated[int, Field(ge=0, le=30)] = 5, name: str) -> str:
        return f"{name}, {age}, in the {yard}"

    @registry.register("bird", legs=2)
    def bird() -> str:
        return "a bird"

    return registry


def test_a_name_leads_to_its_function_with_facts_and_version(pets: Registry) -> None:
    entry = pets.entry("dog")
    assert (entry.name, entry.version, entry.facts) == ("dog", 3, {"legs": 4, "sound": "woof"})
    assert entry.function("yard", name="Rex", age=2) == "Rex, 2, in the yard"


def test_names_come_in_the_order_of_registration_and_by_facts(pets: Registry) -> None:
    assert pets.names() == ("dog", "bird")
    assert pets.names(legs=2) == ("bird",)
    assert pets.names(legs=4, sound="miaow") == ()
    assert pets.names(wings=2) == ()


def test_an_unknown_name_suggests_the_nearest(pets: Registry) -> None:
    with pytest.raises(InputError, match=r"^unknown pet 'dogg' in zoo; allowed: dog, bird; did you mean 'dog'\?$"):
        pets.entry("dogg", where="zoo")


def test_options_are_filled_with_defaults(pets: Registry) -> None:
    assert pets.options(Choice(name="dog", options={"name": "Rex"})) == {"age": 5, "name": "Rex"}
    assert pets.options(Choice(name="bird")) == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "Rex", "age": 31}, "pet 'dog', age: 31 was given in zoo; input should be less than or equal to 30"),
        ({"name": "Rex", "tail": 1}, "unknown key 'tail' of pet 'dog' in zoo"),
        ({"name": "Rex", "yard": "x"}, "unknown key 'yard' of pet 'dog' in zoo"),
        ({}, "key 'name' of pet 'dog' is missing in zoo"),
    ],
)
def test_an_error_about_a_bad_option_says_what_was_given_what_is_allowed_and_where(
    pets: Registry, options: dict, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        pets.check(Choice(name="dog", options=options, version=3), where="zoo")
    assert str(caught.value) == message


def test_another_version_than_the_registered_one_is_refused(pets: Registry) -> None:
    choice = Choice(name="dog", options={"name": "Rex"})
    with pytest.raises(InputError, match=r"^pet 'dog' is at version 3, not 1 in zoo$"):
        pets.check(choice, where="zoo")
    pets.check(pets.stamp(choice))


def test_a_stamp_changes_only_the_version(pets: Registry) -> None:
    choice = ModelSpec(name="dog", options={"name": "Rex"}, params=7)
    assert pets.stamp(choice) == ModelSpec(name="dog", options={"name": "Rex"}, params=7, version=3)
    assert pets.stamp(Choice(name="bird")) == Choice(name="bird")


@pytest.mark.parametrize("order", [(1, 1.0), (1.0, 1)])
def test_an_option_keeps_its_type_though_an_equal_value_of_another_type_was_given_before(order: tuple[float, float]) -> None:
    registry: Registry = Registry("pet")

    @registry.register("cat")
    def cat(*, weight: int | float) -> float:
        return weight

    assert [type(registry.options(Choice(name="cat", options={"weight": w}))["weight"]) for w in order] == list(map(type, order))


def test_changing_the_options_that_were_returned_changes_no_later_ones(pets: Registry) -> None:
    rex = Choice(name="dog", options={"name": "Rex"})
    pets.options(rex)["age"] = 99
    assert pets.options(rex) == {"name": "Rex", "age": 5}


def test_a_stamp_of_the_present_version_is_the_choice_itself(pets: Registry) -> None:
    stamped = pets.stamp(Choice(name="dog"))
    assert pets.stamp(stamped) is stamped


def test_a_name_is_registered_once(pets: Registry) -> None:
    with pytest.raises(ValueError, match="pet 'bird' is registered twice"):
        pets.register("bird")(lambda: "another bird")


def test_registries_share_nothing(pets: Registry) -> None:
    assert Registry("pet").names() == ()
    assert pets.names() != ()


def test_a_fact_that_every_entry_must_have_is_asked_for_and_its_value_checked() -> None:
    registry: Registry = Registry("pet", required={"legs": None, "kind": ("cat", "dog")})
    with pytest.raises(InputError, match=r"^pet 'rex' is registered without the fact 'kind'$"):
        registry.register("rex", legs=4)
    with pytest.raises(InputError, match=r"^unknown kind of pet 'rex' 'dgo'; allowed: cat, dog; did you mean 'dog'[?]$"):
        registry.register("rex", legs=4, kind="dgo")
    registry.register("rex", legs=4, kind="dog")(lambda: "woof")
    assert registry.names(kind="dog") == ("rex",)


PLUG_IN = """
from functools import partial
from imagestudy.models import models
from imagestudy.models.ann import mlp
models.register("{name}", family="cnn", era="modern", kind="neural")(partial(mlp, width={width}))
"""


@pytest.fixture
def _own_model_goes_again(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(plugins, "_loaded", {})
    yield
    models._entries.pop("own_mlp", None)


@pytest.mark.usefixtures("_own_model_goes_again")
def test_whatever_a_plug_in_registers_has_the_origin_of_the_plug_in(tmp_path: Path) -> None:
    """A partial, or a function of the package, once counted as built in: edits never trained its runs again."""
    file = tmp_path / "my.py"
    digests = []
    for width in (8, 16):
        file.write_text(PLUG_IN.format(name="own_mlp", width=width), encoding="utf-8")
        plugins.load([file])
        digests.append(models.entry("own_mlp").origin.digest)
        assert models.entry("own_mlp").origin.file == str(file)
    assert digests[0] != digests[1]
    assert models.entry("mlp").origin.file == ""
    file.write_text(PLUG_IN.format(name="resnet", width=8), encoding="utf-8")
    with pytest.raises(InputError, match="registers the model 'resnet', which the project itself has"):
        plugins.load([file])
    file.write_text("import sys\nsys.exit(0)\n", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be loaded: SystemExit: 0"):
        plugins.load([file])
