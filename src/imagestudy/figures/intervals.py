"""Estimates and differences with their intervals, one line each."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from imagestudy.figures.style import FAMILY_TITLES, FAINT, INK, QUIET, VERDICT_COLORS, Picture, drawing, palette

SCORE_TITLES = {"balanced_accuracy": "balanced accuracy", "accuracy": "accuracy"}
LINE = 0.27
"""Inches that one line takes."""


def draw_intervals(
    frame: pd.DataFrame,
    *,
    label: str = "model",
    by: str = "family",
    group: str | None = None,
    bold: Sequence[bool] | pd.Series | None = None,
    score: str = "balanced_accuracy",
    start: float | None = None,
    sort: bool = True,
    title: str = "",
) -> Figure:
    """Each cell's score with its 95 % interval; the number stands at the right.

    Args:
        frame: of `compare.summarize`.
        label: column that names the lines.
        by: column whose values are told apart by colour and marker, if the frame has it.
        group: column that makes a panel of each of its values.
        bold: for each row, whether it cannot be told from the best (`compare.near_best`): drawn bold, with a filled marker.
        score: what `frame` holds.
        start: where the axis begins; a line that lies below is an arrow at the edge. None shows all.
        sort: the highest first; otherwise in the frame's order.
        title: above everything.
    """
    marked = frame.assign(_bold=[True] * len(frame) if bold is None else list(bold))
    panels = _panels(marked, group)
    looks = palette([str(value) for value in frame[by]]) if by in frame else {}
    height = LINE * len(frame) + 0.3 * len(panels) + (0.9 if len(looks) > 1 else 0.55) + (0.3 if title else 0)
    with drawing(height, title=title) as figure:
        grid = _stack(figure, panels)
        for axes, (name, rows) in zip(grid, panels.items(), strict=True):
            rows = rows.sort_values("estimate", ascending=False, kind="stable") if sort else rows
            axes.set_title(name)
            _put_estimates(axes, rows, label, by, looks, start)
        low, high = _reach(marked)
        grid[0].set_xlim(low if start is None else start, high)
        grid[-1].set_xlabel(f"{SCORE_TITLES.get(score, score)}, 95 % interval")
        grid[-1].xaxis.set_major_locator(MaxNLocator(6))
        _add_legend(figure, looks)
    return figure


def _panels(frame: pd.DataFrame, group: str | None) -> dict[str, pd.DataFrame]:
    if group is None:
        return {"": frame}
    return {str(value): frame[frame[group] == value] for value in dict.fromkeys(frame[group])}


def _stack(figure: Picture, panels: dict[str, pd.DataFrame]) -> list[Axes]:
    """One panel above the other, as high as they have lines, along one axis."""
    ratios = [len(rows) + 0.5 for rows in panels.values()]
    return list(figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=ratios).flat)


def _reach(frame: pd.DataFrame) -> tuple[float, float]:
    """The range of all bounds that an axis can show, and a little more; an interval over the whole range of scores does not count."""
    whole = (frame["high"] - frame["low"]) >= 1
    shown = frame[~whole]
    values = np.concatenate([shown["low"], shown["high"], frame["estimate"]])
    values = values[np.isfinite(values)]
    low, high = values.min(), values.max()
    margin = 0.04 * (high - low) or 0.01
    return float(low - margin), float(high + margin)


def _put_estimates(
    axes: Axes, rows: pd.DataFrame, label: str, by: str, looks: dict[str, tuple[str, str]], start: float | None
) -> None:
    for place, row in enumerate(rows.to_dict("records")):
        color, marker = looks[str(row[by])] if looks else (INK, "o")
        if start is not None and row["estimate"] < start:
            _put_arrow(axes, place, color)
        else:
            put_interval(axes, place, (row["estimate"], row["low"], row["high"]), color, marker, filled=row["_bold"])
        axes.text(1.02, place, f"{row['estimate']:.3f}", transform=axes.get_yaxis_transform(), va="center", fontsize=9,
                  weight=_weight(row["_bold"] and not rows["_bold"].all()))  # fmt: skip
    name_lines(axes, [str(value) for value in rows[label]], bold=[b and not rows["_bold"].all() for b in rows["_bold"]])
    axes.grid(axis="x")


def _weight(bold: bool) -> str:
    return "bold" if bold else "normal"


def _put_arrow(axes: Axes, place: int, color: str) -> None:
    axes.plot([0.012], [place], marker="<", color=color, markersize=6, transform=axes.get_yaxis_transform(), clip_on=False)


def put_interval(
    axes: Axes, place: float, numbers: tuple[float, float, float], color: str, marker: str = "o", *, filled: bool = True
) -> None:
    """A line from bound to bound with a marker on the estimate; where a bound is infinite, the line is dotted to the edge.

    Args:
        axes: where it is drawn.
        place: height of the line.
        numbers: estimate, low, high.
        color: of line and marker.
        marker: its shape.
        filled: or hollow.
    """
    estimate, low, high = numbers
    finite = np.isfinite(low) and np.isfinite(high)
    if finite:
        axes.plot([low, high], [place, place], color=color, linewidth=2.0, solid_capstyle="butt", gid="interval")
    else:
        axes.axhline(place, color=color, linewidth=1.4, linestyle=":", gid="interval")
    axes.plot([estimate], [place], marker, color=color, markersize=6.5, markeredgewidth=1.5, zorder=3, gid="estimate",
              markerfacecolor=color if filled else "white")  # fmt: skip


def name_lines(axes: Axes, names: Sequence[str], *, bold: Sequence[bool] = ()) -> None:
    """Names of the lines at the left, the first on top."""
    axes.set_yticks(range(len(names)), names)
    for text, heavy in zip(axes.get_yticklabels(), bold, strict=False):
        text.set_weight(_weight(heavy))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _add_legend(figure: Picture, looks: dict[str, tuple[str, str]]) -> None:
    if len(looks) < 2:
        return
    handles = [
        Line2D([], [], color=color, marker=marker, linewidth=2, markersize=6, label=FAMILY_TITLES.get(name, name))
        for name, (color, marker) in looks.items()
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=min(len(handles), 3), columnspacing=1.2, handlelength=1.6)


def draw_differences(
    frame: pd.DataFrame,
    *,
    margin: float,
    label: str = "model",
    group: str | None = None,
    baseline: str = "",
    score: str = "balanced_accuracy",
    title: str = "",
) -> Figure:
    """Differences in points with their intervals, the band of ±margin, and the verdict of each as a word.

    Args:
        frame: of `compare.against`.
        margin: of equivalence, a share.
        label: column that names the lines.
        group: column that makes a panel of each of its values.
        baseline: what each cell is compared with, for the axis.
        score: what is compared.
        title: above everything.
    """
    panels = _panels(frame, group)
    height = LINE * len(frame) + 0.3 * len(panels) + 0.75 + (0.3 if title else 0)
    with drawing(height, title=title) as figure:
        grid = _stack(figure, panels)
        for axes, (name, rows) in zip(grid, panels.items(), strict=True):
            axes.set_title(name)
            put_band(axes, margin)
            for place, row in enumerate(rows.to_dict("records")):
                put_difference(axes, place, (row["difference"], row["low"], row["high"]), row["verdict"])
            name_lines(axes, [str(value) for value in rows[label]])
        grid[0].set_xlim(*reach_of_points(frame, margin))
        against = f" against {baseline}" if baseline else ""
        grid[-1].set_xlabel(f"{SCORE_TITLES.get(score, score)}{against}, points\n(grey band: ±{100 * margin:g}, equivalent)")
    return figure


def put_band(axes: Axes, margin: float) -> None:
    """The band inside which a difference counts as none."""
    axes.axvspan(-100 * margin, 100 * margin, color="#EDEDED", zorder=0, gid="margin")
    axes.axvline(0, color=QUIET, linewidth=0.9, zorder=1)
    axes.grid(axis="x", color=FAINT, linewidth=0.5)


def put_difference(axes: Axes, place: float, shares: tuple[float, float, float], verdict: str) -> None:
    """One difference in points, in the colour of its verdict, with the word at the right."""
    estimate, low, high = (100 * share for share in shares)
    color = VERDICT_COLORS[verdict]
    put_interval(axes, place, (estimate, low, high), color, filled=verdict != "undecided")
    axes.text(1.02, place, verdict, transform=axes.get_yaxis_transform(), va="center", color=color, fontsize=9)


def reach_of_points(frame: pd.DataFrame, margin: float) -> tuple[float, float]:
    """Range of the axis in points: all finite bounds and twice the margin on each side of zero."""
    values = 100 * np.concatenate([frame["low"], frame["high"], frame["difference"], [-2 * margin, 2 * margin]])
    values = values[np.isfinite(values)]
    room = 0.04 * (values.max() - values.min())
    return float(values.min() - room), float(values.max() + room)
