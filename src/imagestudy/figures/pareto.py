"""Draw scores against costs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation, Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox, BboxBase

from imagestudy.figures.style import (
    QUIET,
    Picture,
    add_legend,
    drawing,
    name_remedies,
    named_artists,
    palette,
    say_score,
)
from imagestudy.models.families import family_title

COSTS = {
    "seconds": "training time, seconds",
    "params": "trained parameters",
    "flops": "operations per image (FLOPs)",
    "memory_mb": "memory, MiB",
    "latency_ms": "prediction time for one image, milliseconds",
    "times": "training time, relative to plain training",
}
"""Axis label of each cost column."""


def draw_pareto(
    frame: pd.DataFrame,
    *,
    cost: str = "seconds",
    label: str = "model",
    by: str = "family",
    named: Sequence[bool] | pd.Series | None = None,
    score: str = "balanced_accuracy",
    start: float | None = None,
    title: str = "",
) -> Picture:
    """Draw score against cost with the Pareto frontier: points that score higher than all cheaper ones.

    Args:
        frame: table with the columns `estimate`, `low`, `high`, `label`, `by` and `cost`; rows without a cost are left out.
        cost: column with the cost.
        label: column with the names beside the points.
        by: column that sets color and marker.
        named: for each row, whether its name is written beside its point; None names all.
        score: score that `frame` contains.
        start: lower end of the score axis; lower points are left out and listed below the axis. None shows everything.
        title: title above the plot.
    """
    frame = name_remedies(frame)
    styles = palette([str(value) for value in frame[by]])
    known = frame.assign(_named=[True] * len(frame) if named is None else list(named))
    known = known[known[cost] > 0]
    shown = known if start is None else known[known["estimate"] >= start]
    with drawing(4.2 + (0.3 if title else 0), title=title) as figure:
        axes = figure.subplots()
        for row in shown.to_dict("records"):
            color, marker = styles[str(row[by])]
            low, high = max(row["low"], 0.0), min(row["high"], 1.0)
            axes.plot([row[cost]] * 2, [low, high], color=color, linewidth=1.2, alpha=0.6, gid="interval")
            axes.plot(row[cost], row["estimate"], marker, color=color, markersize=8, zorder=3, gid="estimate",
                      label=family_title(row[by]))  # fmt: skip
        _put_frontier(axes, shown, cost)
        axes.set_xscale("log")
        use_plain_log(axes)
        axes.margins(x=0.12, y=0.08)
        left_out = sorted(set(known[label]) - set(shown[label]))
        below = f"\nbelow the axis: {', '.join(left_out)}" if left_out else ""
        axes.set_xlabel(f"{COSTS.get(cost, cost)} (log scale){below}")
        axes.set_ylabel(say_score(score))
        axes.grid(axis="y")
        add_legend(figure, named_artists(axes))
        if start is not None:
            axes.set_ylim(bottom=start)
        colors = [styles[str(value)][0] for value in shown[by]]
        _name_points(figure, axes, shown.assign(_color=colors, _label=shown[label]), cost)
    return figure


def _put_frontier(axes: Axes, frame: pd.DataFrame, cost: str) -> None:
    """Draw the Pareto frontier: a staircase from the cheapest point that steps up at each point better than all cheaper ones."""
    ordered = frame.sort_values([cost, "estimate"], ascending=[True, False])
    best = ordered[ordered["estimate"] > ordered["estimate"].cummax().shift(fill_value=-np.inf)]
    axes.plot(
        best[cost], best["estimate"], color=QUIET, linewidth=1.1, linestyle="--", drawstyle="steps-post", zorder=1, gid="frontier"
    )


def use_plain_log(axes: Axes) -> None:
    """Label the logarithmic horizontal axis with plain numbers, such as 300 and 1 k."""
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if _decades(axes) < 3 else (1.0,)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(_plain))


def _decades(axes: Axes) -> float:
    low, high = axes.get_xlim()
    return float(np.log10(high / low)) if low > 0 else 9.0


def _plain(value: float, _place: int) -> str:
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


PLACES = [
    (ring, (distance * dx, distance * dy))
    for ring, distance in enumerate((1.0, 1.5, 2.2, 3.0, 4.0))
    for dx, dy in ((8, 0), (-8, 0), (0, 9), (0, -9), (7, 7), (-7, 7), (7, -7), (-7, -7))
]
"""Ring number and offset of each possible position of a name beside its point; offsets are in units of 1/72 inch."""

LEADER_RING = 2
"""From this ring outward, a thin line connects the name with its point."""


def _name_points(figure: Picture, axes: Axes, frame: pd.DataFrame, cost: str) -> None:
    """Write a name near each point, inside the axes, clear of points and other names, and across few lines."""
    figure.draw_without_rendering()
    renderer = FigureCanvasAgg(figure).get_renderer()
    spots = axes.transData.transform(frame[[cost, "estimate"]].to_numpy(dtype=np.float64))
    taken = [Bbox.from_bounds(x - 9, y - 9, 18, 18) for x, y in spots]
    lines = [
        line.get_transform().transform_path(line.get_path()) for line in axes.lines if line.get_gid() in ("interval", "frontier")
    ]
    for row in frame[frame["_named"]].to_dict("records"):
        leader = {"arrowstyle": "-", "color": row["_color"], "linewidth": 0.7, "shrinkA": 0, "shrinkB": 5}
        text = axes.annotate(
            str(row["_label"]),
            (row[cost], row["estimate"]),
            (0, 0),
            textcoords="offset points",
            fontsize=9.5,
            zorder=5,
            arrowprops=leader,
        )
        text.set(color=row["_color"], in_layout=False, path_effects=[withStroke(linewidth=2.5, foreground="white")])
        taken.append(_place_text(text, taken, lines, axes.get_window_extent(), renderer))


def _place_text(text: Annotation, taken: list[Bbox], lines: list[Path], inside: BboxBase, renderer: RendererBase) -> Bbox:
    """Move the text to its best position and return the box that it covers.

    The best position is inside the axes, overlaps the fewest boxes, is near its point, and crosses few lines.
    """

    def move(place: tuple[float, float]) -> Bbox:
        dx, dy = place
        text.set_position(place)
        text.set_horizontalalignment("left" if dx > 0 else "right" if dx < 0 else "center")
        text.set_verticalalignment("center" if dy == 0 else "bottom" if dy > 0 else "top")
        text.update_positions(renderer)
        return Text.get_window_extent(text, renderer)

    def penalty(ring_and_place: tuple[int, tuple[float, float]]) -> tuple[int, int]:
        ring, place = ring_and_place
        box = move(place)
        is_outside = not (inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1)
        crossed = sum(path.intersects_bbox(box, filled=False) for path in lines)
        return is_outside + sum(bool(box.overlaps(other)) for other in taken), 2 * ring + crossed

    ring, best = min(PLACES, key=penalty)
    if text.arrow_patch is not None:
        text.arrow_patch.set_visible(ring >= LEADER_RING)
    return move(best)
