"""Invalid input raises an error that states what was given, what is allowed, where, and the most similar name."""

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from imagestudy.core.errors import InputError, place, require_known, sentence


class Drink(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sugar: int = Field(ge=0)
    milk: bool = False


def say(**given: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Drink.model_validate(given)
    return sentence(caught.value, what="the drink", where="menu.yaml").splitlines()


def test_a_known_name_passes_through() -> None:
    assert require_known("tea", ("tea", "coffee"), what="drink") == "tea"


def test_an_unknown_name_is_answered_with_given_allowed_place_and_nearest() -> None:
    with pytest.raises(InputError) as caught:
        require_known("cofee", ("tea", "coffee"), what="drink", where="menu.yaml")
    assert str(caught.value) == "unknown drink 'cofee' in menu.yaml; allowed: tea, coffee; did you mean 'coffee'?"


def test_a_name_similar_to_no_other_gets_no_hint() -> None:
    with pytest.raises(InputError, match=r"^unknown drink 'xyz'; allowed: tea$"):
        require_known("xyz", ("tea",), what="drink")


def test_an_unknown_place_is_left_out() -> None:
    assert place("") == ""
    assert place("menu.yaml") == " in menu.yaml"


def test_every_fault_is_a_line_with_given_allowed_and_place() -> None:
    assert say(sugar=-1, salt=1) == [
        "the drink, sugar: -1 was given in menu.yaml; input should be greater than or equal to 0",
        "unknown key 'salt' of the drink in menu.yaml",
    ]
    assert say(milk=True) == ["key 'sugar' of the drink is missing in menu.yaml"]
