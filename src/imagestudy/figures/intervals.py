"""Estimates and differences with their intervals, one line each."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from imagestudy.figures.style import (
    FAINT,
    FAMILY_TITLES,
    INK,
    QUIET,
    SCORE_TITLES,
    VERDICT_COLORS,
    Picture,
    add_legend,
    drawing,
    palette,
    say_score,
)

REACH = 0.15
LINE = 0.27
"""Inches that one line takes."""
PAST_ONE = 0.04
"""How far beyond 1, the most that a score can be, the axis goes: room for a marker, in shares of the axis."""


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
    """Each cell's score with its 95 % interval; the number stands at the right.

    Args:
        frame: of `compare.summarize`.
        bold: for each row, whether it cannot be told from the best (`compare.near_best`): drawn bold, with a filled marker.
        label: column that names the lines.
        by: column whose values are told apart by colour and marker, if the frame has it.
        group: column that makes a panel of each of its values.
        score: what `frame` holds.
        start: where the axis begins; a line that lies below is an arrow at the edge. None shows all.
        sort: the highest first; otherwise in the frame's order.
        title: above everything.
    """
    marked = frame.assign(_bold=[True] * len(frame) if bold is None else list(bold))
    panels = _panels(marked, group)
    looks = palette([str(value) for value in frame[by]]) if by in frame else {}
    height = LINE * len(frame) + 0.3 * len(panels) + (1.0 if len(looks) > 1 else 0.55) + (0.3 if title else 0)
    with drawing(height, title=title) as figure:
        grid = _stack(figure, panels)
        for axes, (name, rows) in zip(grid, panels.items(), strict=True):
            rows = rows.sort_values("estimate", ascending=False, kind="stable") if sort else rows
            axes.set_title(name)
            _put_estimates(axes, rows, label, by, looks, start)
        low, high = _reach(marked)
        low = low if start is None else start
        grid[0].set_xlim(low, min(high, 1 + PAST_ONE * (1 - low)))
        grid[-1].set_xlabel(say_score(score))
        grid[-1].xaxis.set_major_locator(MaxNLocator(6))
        add_legend(figure, {FAMILY_TITLES.get(name, name): _key(*look) for name, look in looks.items()})
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
    """The range of all bounds, and a little more; an interval over the whole range of scores says nothing and does not count."""
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
        text.set_fontweight(_weight(heavy))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, pad=7)
    axes.spines["left"].set_visible(False)


def _key(color: str, marker: str) -> Line2D:
    return Line2D([], [], color=color, marker=marker, linewidth=2, markersize=6)


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
    """Differences in points with their intervals, the band of ±margin, and the verdict of each as a word.

    Args:
        frame: of `compare.against`.
        margin: of equivalence, a share.
        label: column that names the lines.
        group: column that makes a panel of each of its values.
        baseline: what each cell is compared with, for the axis.
        score: what is compared.
        reach: how far the axis goes at most on either side, a share; an estimate beyond it is an arrow with its number.
        title: above everything.
    """
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
        grid[-1].set_xlabel(f"{SCORE_TITLES.get(score, score)}{against}, points\n(grey band: ±{100 * margin:g}, equivalent)")
    return figure


def edge_of(shares: np.ndarray | pd.DataFrame, margin: float, reach: float) -> float:
    """How far an axis of differences goes on either side: over all finite bounds, at least twice the margin, at most `reach`."""
    values = np.abs(np.asarray(shares, dtype=np.float64))
    values = values[np.isfinite(values)]
    return float(min(reach, 1.05 * values.max(initial=2 * margin)))


def put_band(axes: Axes, margin: float) -> None:
    """The band inside which a difference counts as none."""
    axes.axvspan(-100 * margin, 100 * margin, color="#E9E9E9", zorder=0, gid="margin")
    axes.axvline(0, color=QUIET, linewidth=0.9, zorder=1)
    axes.grid(axis="x", color=FAINT, linewidth=0.5)


def put_difference(axes: Axes, place: int, shares: tuple[float, float, float], *, color: str, edge: float) -> None:
    """One difference in points: estimate, low, high. What lies beyond the edge ends in an arrow, an estimate there is a number."""
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
    """What can be seen of an interval whose estimate is beyond the edge, and the estimate as a number."""
    estimate, low, high = points
    if low < edge and high > -edge:
        axes.plot([max(low, -edge), min(high, edge)], [place, place], color=color, linewidth=2.0, solid_capstyle="butt", gid="far")
    text = f"{estimate:+.1f}".replace("-", "−")
    side, anchor = (1, "right") if estimate > 0 else (-1, "left")
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    axes.text(0.95 * side * edge, place, text, ha=anchor, va="center", color=color, fontsize=9.5, bbox=box)


def put_verdict(axes: Axes, place: int, verdict: str, *, weight: str = "normal") -> None:
    """The verdict as a word, at the right of its line."""
    axes.text(1.03, place, verdict, transform=axes.get_yaxis_transform(), va="center", color=VERDICT_COLORS[verdict], fontsize=9.5,
              weight=weight)  # fmt: skip
