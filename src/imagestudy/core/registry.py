"""Registries that map names to functions: datasets, preprocessing steps, models and remedies, each with validated options.

The options of a registered function are its keyword-only arguments. Their annotations define the allowed values. A study file, a
notebook and a Python call therefore raise the same error for the same invalid option.
"""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from imagestudy.core.errors import InputError, place, require_known, sentence
from imagestudy.core.specs import Choice

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Origin:
    """The plug-in that registers a name: its file and the digest of the file content. Both are empty for a built-in name."""

    file: str = ""
    digest: str = ""


BUILT_IN = Origin()

plugin_modules: dict[str, Origin] = {}
"""Name of a module that was made from a plug-in → its origin. What other modules register is built in."""


def _origin_of_caller() -> Origin:
    """Return the plug-in whose code is registering something, whatever it registers: a function, a partial, or one of the package.

    A module of the package that a plug-in imports registers its own functions as built in.
    """
    frame = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module in plugin_modules:
            return plugin_modules[module]
        if module.startswith("imagestudy.") and module != __name__:
            return BUILT_IN
        frame = frame.f_back  # type: ignore[assignment]
    return BUILT_IN


@dataclass(frozen=True)
class Entry(Generic[F]):
    """A registered function with its name, its version, its facts (metadata) and a model that validates its options.

    `validated` keeps the options that passed: names, types and values as given → the options with the defaults filled in.
    """

    name: str
    function: F
    version: int
    facts: Mapping[str, Any]
    options: type[BaseModel]
    origin: Origin = BUILT_IN
    validated: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict, compare=False, repr=False)


def _options_model(name: str, function: Callable[..., Any]) -> type[BaseModel]:
    keyword_only = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    fields: dict[str, Any] = {p.name: (p.annotation, ... if p.default is p.empty else p.default) for p in keyword_only}
    return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)


@dataclass
class Registry(Generic[F]):
    """A mapping from names to registered functions.

    Args:
        kind: the word for an entry in error messages, such as "model".
        home: the package whose modules register the built-in names; they are imported when the registry is first read.
        required: fact that every entry must have → its allowed values; None allows every value.
    """

    kind: str
    home: str = ""
    required: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    _entries: dict[str, Entry[F]] = field(default_factory=dict)
    _is_complete: bool = False

    @property
    def _known(self) -> dict[str, Entry[F]]:
        """All entries, including those of the home package, in the order of its modules, whichever was imported first."""
        if self.home and not self._is_complete:
            self._is_complete = True
            package = importlib.import_module(self.home)
            modules = [found.name for found in pkgutil.walk_packages(package.__path__, f"{self.home}.")]
            for module in modules:
                importlib.import_module(module)
            place = {module: number for number, module in enumerate(modules)}
            ordered = sorted(self._entries.items(), key=lambda item: place.get(item[1].function.__module__, len(place)))
            self._entries = dict(ordered)
        return self._entries

    def register(self, name: str, *, version: int = 1, **facts: Any) -> Callable[[F], F]:
        """Return a decorator that registers a function under a name.

        Args:
            name: the name. It must not be registered yet.
            version: the version of the function. Increase it when a fix changes the results of a run.
            facts: metadata of the function.

        Raises:
            InputError: if a required fact is missing or has a value that is not allowed, or a plug-in registers a name that is
                already taken.
        """
        origin = _origin_of_caller()
        self._check_facts(name, facts)

        def add(function: F) -> F:
            if origin.file:
                self._make_room(name, origin)
            elif name in self._entries:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._entries[name] = Entry(name, function, version, facts, _options_model(name, function), origin)
            return function

        return add

    def _check_facts(self, name: str, facts: Mapping[str, Any]) -> None:
        for fact, allowed in self.required.items():
            if fact not in facts:
                raise InputError(f"{self.kind} {name!r} is registered without the fact {fact!r}")
            if allowed is not None:
                require_known(facts[fact], allowed, what=f"{fact} of {self.kind} {name!r}")

    def _make_room(self, name: str, origin: Origin) -> None:
        """Check that a plug-in may register a name. An edited plug-in may replace its own entry.

        Raises:
            InputError: if the name belongs to the project or to another plug-in.
        """
        if name in self._known and self._known[name].origin.file != origin.file:
            owner = self._known[name].origin.file or "the project itself"
            raise InputError(f"plug-in {origin.file} registers the {self.kind} {name!r}, which {owner} has; give it another name")

    def names(self, **facts: Any) -> tuple[str, ...]:
        """Return the names in order of registration. If facts are given, only names with all of these facts are returned."""
        return tuple(n for n, e in self._known.items() if all(e.facts.get(k) == v for k, v in facts.items()))

    def entry(self, name: str, *, where: str = "") -> Entry[F]:
        """Return the entry of a name.

        Raises:
            InputError: if the name is not registered. The text lists the allowed names.
        """
        return self._known[require_known(name, self._known, what=self.kind, where=where)]

    def options(self, choice: Choice, *, where: str = "") -> dict[str, Any]:
        """Validate the options of a choice and return them with the defaults filled in.

        Raises:
            InputError: if the name is not registered or an option is not allowed.
        """
        entry = self.entry(choice.name, where=where)
        key = tuple((name, type(value), value) for name, value in choice.options.items())
        if key not in entry.validated:
            try:
                entry.validated[key] = dict(entry.options(**choice.options))
            except ValidationError as error:
                raise InputError(sentence(error, what=f"{self.kind} {choice.name!r}", where=where)) from None
        return dict(entry.validated[key])

    def check(self, choice: Choice, *, where: str = "") -> None:
        """Check a choice.

        Raises:
            InputError: if the name is not registered, its registered version differs from the version of the choice, or an option
                is not allowed.
        """
        entry = self.entry(choice.name, where=where)
        self.options(choice, where=where)
        if choice.version != entry.version:
            raise InputError(f"{self.kind} {choice.name!r} is at version {entry.version}, not {choice.version}{place(where)}")
        if choice.source != entry.origin.digest:
            raise InputError(f"{self.kind} {choice.name!r} is described from another version of its plug-in{place(where)}")

    def stamp(self, choice: Choice) -> Choice:
        """Return a choice with the registered version, and the digest of its plug-in if it has one."""
        entry = self.entry(choice.name)
        if choice.version == entry.version and choice.source == entry.origin.digest:
            return choice
        return choice.model_copy(update={"version": entry.version, "source": entry.origin.digest})
