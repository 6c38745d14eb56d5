"""Draw deployment settings with their class shares, and how the remedies compare in each."""

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from imagestudy.figures.intervals import name_lines
from imagestudy.figures.style import FAINT, VERDICT_COLORS, Picture, add_legend, drawing, name_remedies, named_artists, palette

STANDINGS = {
    "chosen": ("chosen on validation", VERDICT_COLORS["higher"], "*", 11.0),
    "alike": ("indistinguishable from it", VERDICT_COLORS["equivalent"], "o", 6.0),
    "higher": ("higher on the test images", VERDICT_COLORS["higher"], "^", 7.0),
    "lower": ("lower", VERDICT_COLORS["lower"], "_", 7.0),
}
"""Standing of a remedy → its legend text, color, marker and marker size."""


def draw_winners(frames: dict[str, pd.DataFrame], *, title: str = "") -> Picture:
    """Draw how each remedy compares with the chosen one in each deployment setting.

    There is one panel per way of using the predictions. The remedies that are least often lower are on top.

    Args:
        frames: name of each panel → table from `imbalance.standings`, one row per remedy and place (deployment setting). All tables
            have the same remedies and places.
        title: title above all panels.
    """
    frames = {name: name_remedies(frame) for name, frame in frames.items()}
    first = next(iter(frames.values()))
    remedies, places = (list(dict.fromkeys(first[axis])) for axis in ("remedy", "place"))
    everything = pd.concat(frames.values())
    times_not_lower = everything[everything["standing"] != "lower"]["remedy"].value_counts()
    order = sorted(remedies, key=lambda name: -times_not_lower.get(name, 0))
    with drawing(0.235 * len(order) + 2.1 + (0.3 if title else 0), title=title) as figure:
        grid = figure.subplots(1, len(frames), sharey=True, squeeze=False)[0]
        for axes, (name, frame) in zip(grid, frames.items(), strict=True):
            axes.set_title(name)
            axes.hlines(range(len(order)), -0.5, len(places) - 0.5, color=FAINT, linewidth=0.5, zorder=0)
            for row in frame.to_dict("records"):
                _put_standing(axes, places.index(row["place"]), order.index(row["remedy"]), row["standing"])
            name_lines(axes, order)
            axes.set_xticks(range(len(places)), places, rotation=90)
            axes.set_xlim(-0.6, len(places) - 0.4)
            axes.tick_params(axis="x", length=0)
        grid[0].set_xlabel("deployment setting")
        present = [key for key in STANDINGS if key in set(everything["standing"])]
        add_legend(figure, {STANDINGS[key][0]: _key(key) for key in present})
    return figure


def _put_standing(axes: Axes, column: int, row: int, standing: str) -> None:
    _, color, marker, size = STANDINGS[standing]
    axes.plot([column], [row], marker, color=color, markersize=size, gid=standing)


def _key(standing: str) -> Line2D:
    _, color, marker, size = STANDINGS[standing]
    return Line2D([], [], color=color, marker=marker, markersize=size, linewidth=0)


def draw_shares(shares: dict[str, Float[np.ndarray, " rank"]], *, title: str = "") -> Picture:
    """Draw the share of each class, one line per deployment setting.

    Args:
        shares: name of each deployment setting → share of each class, in order of frequency in the training set, highest first.
        title: title above the plot.
    """
    with drawing(2.6 + (0.3 if title else 0), title=title) as figure:
        axes = figure.subplots()
        for name, (color, marker) in palette(list(shares)).items():
            axes.plot(np.arange(1, len(shares[name]) + 1), shares[name], color=color, marker=marker, markersize=5, label=name)
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
        axes.set_ylim(0, None)
        axes.set_xlabel("class, by rank in training")
        axes.set_ylabel("share of images")
        axes.grid(axis="y")
        add_legend(figure, named_artists(axes))
    return figure
