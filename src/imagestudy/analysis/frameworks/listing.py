"""Show the code of a model in both frameworks side by side, and match its weights."""

import html
import inspect
from typing import Any

import pandas as pd
from IPython.display import HTML

from imagestudy import data
from imagestudy.experiments import grids
from imagestudy.experiments.grids import Plan
from imagestudy.models import models
from imagestudy.models.keras import counterparts, is_installed
from imagestudy.training.keras import parity

COLUMNS = "display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); gap: 0.5rem 1.5rem"
LINE = "display: block; white-space: pre-wrap; overflow-wrap: anywhere; min-height: 1.4em"
FONT = "font-family: monospace; font-size: 0.72rem; line-height: 1.4; text-align: left"
HANGING = 2
"""The extra indent of a wrapped line, in characters."""


def show_listing(model: str) -> HTML:
    """Show the code of a Keras model and of its PyTorch twin, in two columns if there is room. The code is read from the modules.

    Each builder is shown with the functions and classes of its module that it uses. Code that both frameworks share, such as the
    choice of strides, is left out.
    """
    ours = {name: _parts(models.entry(name).function, without=set()) for name in grids.TWINS.values()}
    shared = {name for parts in ours.values() for part in parts for name in _names(part)}
    theirs = _parts(models.entry(models.entry(model).facts["twin"]).function, without=shared)
    sides = {"PyTorch": theirs, "Keras": ours[model]}
    columns = "".join(_column(title, parts) for title, parts in sides.items())
    return HTML(f'<div class="listing" style="{COLUMNS}">\n{columns}</div>\n')


def _names(part: Any) -> tuple[str, ...]:
    """Return the names that the code of a function uses; empty for a class."""
    return inspect.unwrap(part).__code__.co_names if inspect.isfunction(part) else ()


def _parts(builder: Any, *, without: set[str]) -> list[Any]:
    """Return the builder and the functions and classes of its module that it uses, directly or indirectly."""
    found, known = [builder], {builder.__name__, *without}
    for part in found:
        space = inspect.unwrap(part).__globals__ if inspect.isfunction(part) else {}
        named = [space[name] for name in _names(part) if name in space and name not in known]
        own = [one for one in named if callable(one) and getattr(one, "__module__", None) == builder.__module__]
        known |= {one.__name__ for one in own}
        found += own
    return found


def _column(title: str, parts: list[Any]) -> str:
    lines = [line for part in parts for line in (*inspect.getsource(inspect.unwrap(part)).rstrip().splitlines(), "")]
    body = "".join(map(_line, lines))
    return f'<div style="min-width: 0">\n<p><b>{title}</b></p>\n<div style="{FONT}">{body}</div>\n</div>\n'


def _line(text: str) -> str:
    """Return the HTML of one line of code. A wrapped line continues with a larger indent."""
    inside = len(text) - len(text.lstrip())
    style = f"{LINE}; padding-left: {inside + HANGING}ch; text-indent: -{HANGING}ch"
    return f'<span style="{style}">{html.escape(text.strip())}</span>'


def pair_weights(plan: Plan, model: str) -> pd.DataFrame:
    """Tabulate one row per weight: its name in Keras, its shape in both frameworks, its size, and whether it is trained.

    The table is empty if TensorFlow is not installed.
    """
    columns = ["weight", "PyTorch", "Keras", "numbers", "trained"]
    if not is_installed():
        return pd.DataFrame(columns=columns)
    shape, classes = data.image_shape(plan.study.dataset), data.class_count(plan.study.dataset)
    pair = parity.make_pair(grids.model_spec(plan, model), shape=shape, classes=classes)
    rows = [
        (one.name, *map(_say_shape, (one.tensor, one.variable)), one.tensor.numel(), one.trained) for one in counterparts(*pair)
    ]
    return pd.DataFrame(rows, columns=columns)


def _say_shape(weight: Any) -> str:
    return " × ".join(map(str, weight.shape))


def say_weights(frame: pd.DataFrame, model: str) -> str:
    """Say how many parameters the twins have, and how many of their weights have their axes in a different order."""
    if frame.empty:
        return ""
    trained = int(frame.loc[frame["trained"], "numbers"].sum())
    turned = int((frame["PyTorch"] != frame["Keras"]).sum())
    verb = "has its" if turned == 1 else "have their"
    return (
        f"{model} and its PyTorch version have {trained:,} trained parameters each, in {len(frame)} weights and running "
        f"statistics. Of these, {turned} {verb} axes in a different order."
    )
