"""Registered names: data sources, preprocessing steps, models and remedies, each with checked options.

A registered function takes its options as keyword-only arguments; their annotations say what is allowed, so that a study file,
a notebook and a call from Python are refused by the same sentence.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from imagestudy.core.errors import InputError, place, require_known, sentence
from imagestudy.core.specs import Choice

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Entry(Generic[F]):
    """One registered function with its version and the facts known of it."""

    name: str
    function: F
    version: int
    facts: Mapping[str, Any]
    options: type[BaseModel]


def _options_model(name: str, function: Callable[..., Any]) -> type[BaseModel]:
    keyword_only = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    fields: dict[str, Any] = {p.name: (p.annotation, ... if p.default is p.empty else p.default) for p in keyword_only}
    return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)


@dataclass
class Registry(Generic[F]):
    """Name → function, version and facts. `kind` is the word that errors use, such as "model"."""

    kind: str
    _entries: dict[str, Entry[F]] = field(default_factory=dict)

    def register(self, name: str, *, version: int = 1, **facts: Any) -> Callable[[F], F]:
        """Decorator: put the function under a name. Raise `version` when a mend changes what a run would give."""

        def add(function: F) -> F:
            if name in self._entries:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._entries[name] = Entry(name, function, version, facts, _options_model(name, function))
            return function

        return add

    def names(self, **facts: Any) -> tuple[str, ...]:
        """All names in the order of registration, or those of which all the given facts hold."""
        return tuple(n for n, e in self._entries.items() if all(e.facts.get(k) == v for k, v in facts.items()))

    def entry(self, name: str, *, where: str = "") -> Entry[F]:
        """The entry of a name; an unknown name raises `InputError` with the allowed ones."""
        return self._entries[require_known(name, self._entries, what=self.kind, where=where)]

    def options(self, choice: Choice, *, where: str = "") -> dict[str, Any]:
        """The choice's options, checked, with defaults filled in; a bad one raises `InputError`."""
        entry = self.entry(choice.name, where=where)
        try:
            return dict(entry.options(**choice.options))
        except ValidationError as error:
            raise InputError(sentence(error, what=f"{self.kind} {choice.name!r}", where=where)) from None

    def check(self, choice: Choice, *, where: str = "") -> None:
        """Raise `InputError` unless the name is registered at the choice's version and its options are allowed."""
        entry = self.entry(choice.name, where=where)
        self.options(choice, where=where)
        if choice.version != entry.version:
            raise InputError(f"{self.kind} {choice.name!r} is at version {entry.version}, not {choice.version}{place(where)}")

    def stamp(self, choice: Choice) -> Choice:
        """The same choice at the version that is registered now."""
        return choice.model_copy(update={"version": self.entry(choice.name).version})
