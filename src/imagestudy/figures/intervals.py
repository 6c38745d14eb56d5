"""Draw estimates and differences with their confidence intervals, one per line."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from imagestudy.figures.style import (
    FAINT,
    INK,
    QUIET,
    SCORE_TITLES,
    VERDICT_COLORS,
    Picture,
    add_legend,
    drawing,
    legend_keys,
    name_remedies,
    palette,
    say_score,
)
from imagestudy.models.families import family_title

REACH = 0.15
"""Default largest half-width of an axis of differences, as a share (0.15 is 15 points)."""
LINE = 0.27
"""Height of one line, in inches."""
PAST_ONE = 0.04
"""How far an axis of scores may extend beyond 1, the largest possible score, to leave room for a marker; a share of the axis."""


def draw_intervals(
    frame: pd.DataFrame,
    bold: Sequence[bool] | pd.Series | None = None,
    *,
    label: str = "model",
    by: str = "family",
    group: str | None = None,
    score: str = "balanced_accuracy",
    start: float | None = None,
    sort: bool = True,
    title: str = "",
) -> Picture:
    """Draw the score of each row as a marker with its 95 % confidence interval, and write the score at the right.

    Args:
        frame: table from `comparisons.summarize`.
        bold: for each row, whether it is statistically indistinguishable from the best (`comparisons.near_best`). Such a row is
            bold, and its marker is filled.
        label: column with the names of the lines.
        by: column that sets color and marker; ignored if the table lacks it.
        group: column that splits the table into panels, one per value.
        score: score that `frame` contains.
        start: lower end of the axis; an estimate below it becomes an arrow at the edge. None shows everything.
        sort: whether to sort by score, highest first; otherwise the order of the table is kept.
        title: title above all panels.
    """
    frame = name_remedies(frame)
    marked = frame.assign(_bold=[True] * len(frame) if bold is None else list(bold))
    panels = _panels(marked, group)
    styles = palette([str(value) for value in frame[by]]) if by in frame else {}
    height = LINE * len(frame) + 0.3 * len(panels) + (1.0 if len(styles) > 1 else 0.55) + (0.3 if title else 0)
    with drawing(height, title=title) as figure:
        grid = _stack(figure, panels)
        for axes, (name, rows) in zip(grid, panels.items(), strict=True):
            rows = rows.sort_values("estimate", ascending=False, kind="stable") if sort else rows
            axes.set_title(name)
            _put_estimates(axes, rows, label, by, styles, start)
        low, high = _reach(marked)
        low = low if start is None else start
        grid[0].set_xlim(low, min(high, 1 + PAST_ONE * (1 - low)))
        grid[-1].set_xlabel(say_score(score))
        grid[-1].xaxis.set_major_locator(MaxNLocator(6))
        add_legend(figure, legend_keys({family_title(name): style for name, style in styles.items()}))
    return figure


def _panels(frame: pd.DataFrame, group: str | None) -> dict[str, pd.DataFrame]:
    if group is None:
        return {"": frame}
    return {str(value): frame[frame[group] == value] for value in dict.fromkeys(frame[group])}


def _stack(figure: Picture, panels: dict[str, pd.DataFrame]) -> list[Axes]:
    """Create the panels in one column with a common horizontal axis; heights follow the number of lines."""
    ratios = [len(rows) + 0.5 for rows in panels.values()]
    return list(figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=ratios).flat)


def _reach(frame: pd.DataFrame) -> tuple[float, float]:
    """Return the axis limits: the range of all bounds plus a margin. Intervals that span the whole range of scores are ignored."""
    whole = (frame["high"] - frame["low"]) >= 1
    shown = frame[~whole]
    values = np.concatenate([shown["low"], shown["high"], frame["estimate"]])
    values = values[np.isfinite(values)]
    low, high = values.min(), values.max()
    margin = 0.04 * (high - low) or 0.01
    return float(low - margin), float(high + margin)


def _put_estimates(
    axes: Axes, rows: pd.DataFrame, label: str, by: str, styles: dict[str, tuple[str, str]], start: float | None
) -> None:
    for place, row in enumerate(rows.to_dict("records")):
        color, marker = styles[str(row[by])] if styles else (INK, "o")
        if start is not None and row["estimate"] < start:
            _put_arrow(axes, place, color)
        else:
            put_interval(axes, place, (row["estimate"], row["low"], row["high"]), color, marker, filled=row["_bold"])
        axes.text(1.02, place, f"{row['estimate']:.3f}", transform=axes.get_yaxis_transform(), va="center", fontsize=9.5,
                  weight=_weight(row["_bold"] and not rows["_bold"].all()))  # fmt: skip
    name_lines(axes, [str(value) for value in rows[label]], bold=[b and not rows["_bold"].all() for b in rows["_bold"]])
    axes.grid(axis="x")


def _weight(bold: bool) -> str:
    return "bold" if bold else "normal"


def _put_arrow(axes: Axes, place: int, color: str) -> None:
    axes.plot([0.012], [place], marker="<", color=color, markersize=6, transform=axes.get_yaxis_transform(), clip_on=False)


def put_interval(
    axes: Axes, place: int | float, numbers: tuple[float, float, float], color: str, marker: str = "o", *, filled: bool = True
) -> None:
    """Draw an interval as a line with a marker on the estimate; an interval with an infinite bound is dotted up to both edges.

    Args:
        axes: axes to draw on.
        place: vertical position of the line.
        numbers: estimate, lower bound and upper bound.
        color: color of line and marker.
        marker: shape of the marker.
        filled: whether the marker is filled; otherwise it is hollow.
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
    """Write the names of the lines at the left, the first on top."""
    axes.set_yticks(range(len(names)), names)
    for text, heavy in zip(axes.get_yticklabels(), bold, strict=False):
        text.set_fontweight(_weight(heavy))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, pad=7)
    axes.spines["left"].set_visible(False)


def draw_differences(
    frame: pd.DataFrame,
    *,
    margin: float,
    label: str = "model",
    group: str | None = None,
    baseline: str = "",
    score: str = "balanced_accuracy",
    reach: float = REACH,
    title: str = "",
) -> Picture:
    """Draw differences in points with their confidence intervals, the equivalence band, and the verdict on each as a word.

    Args:
        frame: table from `comparisons.against`.
        margin: equivalence margin, as a share; the band covers ±margin.
        label: column with the names of the lines.
        group: column that splits the table into panels, one per value.
        baseline: name of what each row is compared with, for the axis label.
        score: score that is compared.
        reach: largest distance from 0 to the end of the axis, as a share; an estimate beyond it becomes an arrow with its number.
        title: title above all panels.
    """
    frame = name_remedies(frame)
    panels = _panels(frame, group)
    edge = edge_of(frame[["difference", "low", "high"]], margin, reach)
    height = LINE * len(frame) + 0.3 * len(panels) + 0.75 + (0.3 if title else 0)
    with drawing(height, title=title) as figure:
        grid = _stack(figure, panels)
        for axes, (name, rows) in zip(grid, panels.items(), strict=True):
            axes.set_title(name)
            put_band(axes, margin)
            for place, row in enumerate(rows.to_dict("records")):
                shares = (row["difference"], row["low"], row["high"])
                put_difference(axes, place, shares, color=VERDICT_COLORS[row["verdict"]], edge=edge)
                put_verdict(axes, place, row["verdict"])
            name_lines(axes, [str(value) for value in rows[label]])
            axes.set_xlim(-100 * edge, 100 * edge)
        against = f" against {baseline}" if baseline else ""
        grid[-1].set_xlabel(f"{SCORE_TITLES.get(score, score)}{against}, points\n(gray band: ±{100 * margin:g}, equivalent)")
    return figure


def edge_of(shares: np.ndarray | pd.DataFrame, margin: float, reach: float) -> float:
    """Return the distance from 0 to the end of an axis of differences, as a share.

    It covers all finite bounds, and is at least about twice the margin and at most `reach`.
    """
    values = np.abs(np.asarray(shares, dtype=np.float64))
    values = values[np.isfinite(values)]
    return float(min(reach, 1.05 * values.max(initial=2 * margin)))


def put_band(axes: Axes, margin: float) -> None:
    """Draw the equivalence band, the line at 0 and the grid; `margin` is a share."""
    axes.axvspan(-100 * margin, 100 * margin, color="#E9E9E9", zorder=0, gid="margin")
    axes.axvline(0, color=QUIET, linewidth=0.9, zorder=1)
    axes.grid(axis="x", color=FAINT, linewidth=0.5)


def put_difference(axes: Axes, place: int, shares: tuple[float, float, float], *, color: str, edge: float) -> None:
    """Draw one difference with its interval, in points.

    An interval that goes beyond the edge ends in an arrow. An estimate beyond the edge is written as a number.

    Args:
        axes: axes to draw on.
        place: vertical position of the line.
        shares: estimate, lower bound and upper bound, as shares.
        color: color of line, marker and number.
        edge: distance from 0 to the end of the axis, as a share.
    """
    estimate, low, high = (100 * share for share in shares)
    edge = 100 * edge
    if abs(estimate) < 0.97 * edge:
        put_interval(axes, place, (estimate, low, high), color)
    else:
        _put_far(axes, place, (estimate, low, high), color, edge)
    for side, beyond in ((1, high > edge), (-1, low < -edge)):
        if beyond:
            axes.plot([side * edge], [place], ">" if side > 0 else "<", color=color, markersize=6, clip_on=False, gid="arrow")


def _put_far(axes: Axes, place: int, points: tuple[float, float, float], color: str, edge: float) -> None:
    """Draw the visible part of an interval with its estimate beyond the edge, and write the estimate as a number."""
    estimate, low, high = points
    if low < edge and high > -edge:
        axes.plot([max(low, -edge), min(high, edge)], [place, place], color=color, linewidth=2.0, solid_capstyle="butt", gid="far")
    text = f"{estimate:+.1f}".replace("-", "−")
    side, anchor = (1, "right") if estimate > 0 else (-1, "left")
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    axes.text(0.95 * side * edge, place, text, ha=anchor, va="center", color=color, fontsize=9.5, bbox=box)


def put_verdict(axes: Axes, place: int, verdict: str, *, weight: str = "normal") -> None:
    """Write the verdict as a word at the right of its line."""
    axes.text(1.03, place, verdict, transform=axes.get_yaxis_transform(), va="center", color=VERDICT_COLORS[verdict], fontsize=9.5,
              weight=weight)  # fmt: skip
