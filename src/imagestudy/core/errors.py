"""Errors about user input. Each is one sentence that states what was given, what is allowed, and where."""

import difflib
from collections.abc import Iterable

from pydantic import ValidationError
from pydantic_core import ErrorDetails


class FailedError(RuntimeError):
    """A notebook or the site failed. The command line prints the text and exits with code 1."""


class InputError(ValueError):
    """User input that is not allowed. The command line prints the text unchanged and exits with code 2."""


def place(where: str) -> str:
    """The text " in WHERE" to end an error sentence with; empty if `where` is empty."""
    return f" in {where}" if where else ""


def require_known(given: str, allowed: Iterable[str], *, what: str, where: str = "") -> str:
    """Return `given` if it is allowed.

    Raises:
        InputError: if `given` is not in `allowed`. The text lists the allowed names and suggests the most similar one.
    """
    allowed = list(allowed)
    if given in allowed:
        return given
    close = difflib.get_close_matches(str(given), allowed, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise InputError(f"unknown {what} {given!r}{place(where)}; allowed: {', '.join(allowed)}{hint}")


MOST_SHOWN = 200
"""The most characters of a wrong value that an error message repeats."""


def sentence(error: ValidationError, *, what: str, where: str = "") -> str:
    """The text of a pydantic validation error, one sentence per line for each fault."""
    return "\n".join(_fault(fault, what=what, where=where) for fault in error.errors())


def _fault(fault: ErrorDetails, *, what: str, where: str) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"unknown key {key!r} of {what}{place(where)}"
    if fault["type"] == "missing":
        return f"key {key!r} of {what} is missing{place(where)}"
    subject = f"{what}, {key}" if key else what
    reason = fault["msg"].removeprefix("Value error, ")
    given = repr(fault["input"])
    shown = given if len(given) <= MOST_SHOWN else f"{given[:MOST_SHOWN]} …"
    return f"{subject}: {shown} was given{place(where)}; {reason[0].lower() + reason[1:]}"
