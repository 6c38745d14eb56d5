"""Draw repeated measurements of the ratio between two costs, such as those of two frameworks."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from imagestudy.figures.intervals import name_lines
from imagestudy.figures.pareto import use_plain_log
from imagestudy.figures.style import FAINT, QUIET, Picture, add_legend, draw_sentence, drawing, named_artists, palette

LINE = 0.4
"""Height of one line, in inches."""
APART = 0.17
"""Vertical shift that separates the markers of two values on one line, as a share of the line height."""
ROOM = 1.25
"""Factor by which the axis extends beyond the most extreme ratio."""


def draw_ratios(
    frame: pd.DataFrame, *, label: str = "what", by: str = "model", group: str = "group", axis: str, title: str = ""
) -> Picture:
    """Draw measured ratios as small markers and their median as a large marker, on a logarithmic axis.

    Args:
        frame: one row per measurement, with the column `ratio` (above 0) and the columns named below.
        label: column with the names of the lines.
        by: column that sets color and marker; each value has its own median.
        group: column that splits the table into panels, one per value.
        axis: label of the horizontal axis.
        title: title above all panels.
    """
    if frame.empty:
        return draw_sentence("There are no measurements to draw.", title=title)
    panels = {str(value): frame[frame[group] == value] for value in dict.fromkeys(frame[group])}
    lines = {name: list(dict.fromkeys(rows[label])) for name, rows in panels.items()}
    styles = palette([str(value) for value in frame[by]])
    height = LINE * sum(map(len, lines.values())) + 0.35 * len(panels) + 1.05 + (0.3 if title else 0)
    with drawing(height, title=title) as figure:
        sizes = [len(names) + 0.4 for names in lines.values()]
        grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=sizes)[:, 0]
        for axes, (name, rows) in zip(grid, panels.items(), strict=True):
            axes.set_title(name)
            _put_ratios(axes, rows, label, by, styles, lines[name])
        reach = float(np.exp(np.abs(np.log(frame["ratio"])).max())) * ROOM
        grid[0].set_xscale("log")
        grid[0].set_xlim(
            min(1 / ROOM, float(frame["ratio"].min()) / ROOM), max(ROOM, min(reach, float(frame["ratio"].max()) * ROOM))
        )
        use_plain_log(grid[-1])
        grid[-1].set_xlabel(axis)
        add_legend(figure, {name: artist for axes in grid for name, artist in named_artists(axes).items()})
    return figure


def _put_ratios(axes: Axes, rows: pd.DataFrame, label: str, by: str, styles: dict[str, tuple[str, str]], names: list[str]) -> None:
    axes.axvline(1, color=QUIET, linewidth=0.9, zorder=1)
    for (name, kind), part in rows.groupby([label, by], sort=False):
        color, marker = styles[str(kind)]
        kinds = list(dict.fromkeys(rows.loc[rows[label] == name, by]))
        place = names.index(str(name)) + APART * (2 * kinds.index(kind) - len(kinds) + 1)
        axes.plot(part["ratio"], [place] * len(part), marker, color=color, markersize=3.5, alpha=0.55, linewidth=0, gid="ratio")
        axes.plot([part["ratio"].median()], [place], marker, color=color, markersize=7.5, linewidth=0, label=str(kind),
                  markeredgecolor="white", markeredgewidth=0.8, zorder=3, gid="median")  # fmt: skip
    name_lines(axes, names)
    axes.grid(axis="x", color=FAINT, linewidth=0.5)
