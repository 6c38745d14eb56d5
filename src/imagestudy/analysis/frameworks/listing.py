"""The code of a model in both frameworks side by side, as it runs, and which of its weights are which."""

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
"""Characters by which the rest of a line that does not fit stands further in."""


def show_listing(model: str) -> HTML:
    """The code of a Keras model and of its PyTorch twin, in two columns where there is room for two, read from the modules.

    With each builder come the functions and classes of its own module that it names; what the Keras models take from PyTorch's
    module, such as sizes, is left out.
    """
    ours = {name: _parts(models.entry(name).function, without=set()) for name in grids.TWINS.values()}
    shared = {name for parts in ours.values() for part in parts for name in _names(part)}
    theirs = _parts(models.entry(models.entry(model).facts["twin"]).function, without=shared)
    sides = {"PyTorch": theirs, "Keras": ours[model]}
    columns = "".join(_column(title, parts) for title, parts in sides.items())
    return HTML(f'<div class="listing" style="{COLUMNS}">\n{columns}</div>\n')


def _names(part: Any) -> tuple[str, ...]:
    """What the code of a function names; of a class nothing is asked."""
    return inspect.unwrap(part).__code__.co_names if inspect.isfunction(part) else ()


def _parts(builder: Any, *, without: set[str]) -> list[Any]:
    """The builder, then the functions and classes of its module that it names, and those that these name."""
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
    """One line of code; what does not fit goes on a little further in, and not at the edge."""
    inside = len(text) - len(text.lstrip())
    style = f"{LINE}; padding-left: {inside + HANGING}ch; text-indent: -{HANGING}ch"
    return f'<span style="{style}">{html.escape(text.strip())}</span>'


def pair_weights(plan: Plan, model: str) -> pd.DataFrame:
    """One row a weight: its name in Keras, its shape in both, how many numbers it holds, whether it is trained.

    Empty without TensorFlow.
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
    """How many parameters the two have, and how many of their weights lie in another order."""
    if frame.empty:
        return ""
    trained = int(frame.loc[frame["trained"], "numbers"].sum())
    turned = int((frame["PyTorch"] != frame["Keras"]).sum())
    return (
        f"{model} and its PyTorch twin have {trained:,} trained parameters each, in {len(frame)} weights and running statistics; "
        f"{turned} of these have their axes in another order."
    )
