"""What a user gave wrongly, said in one sentence: the given, the allowed, the place."""

import difflib
from collections.abc import Iterable

from pydantic import ValidationError
from pydantic_core import ErrorDetails


class InputError(ValueError):
    """Something that the user gave is not allowed; its text is shown as it stands, and the command line exits with 2."""


def place(where: str) -> str:
    """The tail of a sentence that says where something was given; empty if that is not known."""
    return f" in {where}" if where else ""


def require_known(given: str, allowed: Iterable[str], *, what: str, where: str = "") -> str:
    """Return `given` if it is among `allowed`; otherwise raise `InputError` that names both and the nearest."""
    allowed = list(allowed)
    if given in allowed:
        return given
    close = difflib.get_close_matches(str(given), allowed, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise InputError(f"unknown {what} {given!r}{place(where)}; allowed: {', '.join(allowed)}{hint}")


def sentence(error: ValidationError, *, what: str, where: str = "") -> str:
    """All the faults that pydantic found, as one sentence a fault."""
    return "\n".join(_fault(fault, what=what, where=where) for fault in error.errors())


def _fault(fault: ErrorDetails, *, what: str, where: str) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"unknown key {key!r} of {what}{place(where)}"
    if fault["type"] == "missing":
        return f"key {key!r} of {what} is missing{place(where)}"
    subject = f"{what}, {key}" if key else what
    reason = fault["msg"].removeprefix("Value error, ")
    return f"{subject}: {fault['input']!r} was given{place(where)}; {reason[0].lower() + reason[1:]}"
