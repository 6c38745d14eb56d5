"""Scores against something: remedy, group of classes, cost, class size, distance, ratio."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from imagestudy.figures.intervals import SCORE_TITLES, name_lines
from imagestudy.figures.style import FAMILY_COLORS, FAMILY_MARKERS, FAMILY_TITLES, INK, QUIET, Picture, drawing, palette
from imagestudy.figures.training import legend_above

COSTS = {
    "seconds": "training time, seconds",
    "params": "trained parameters",
    "flops": "operations an image (FLOPs)",
    "memory_mb": "memory, MiB",
    "latency_ms": "time for one image, milliseconds",
}
GROUPS = {"head": ("#0B3C5D", "s"), "middle": ("#3C8DBC", "o"), "tail": ("#C24E00", "v")}


def draw_gains(frame: pd.DataFrame, *, rows: str = "remedy", columns: str = "model", title: str = "") -> Figure:
    """Gains in points over the baseline, as a shaded table; undecided ones are grey with a question mark.

    Args:
        frame: of `compare.against`, one row a cell of the table; a pair that is missing is left blank.
        rows: column of the frame whose values make the rows.
        columns: the same for the columns.
        title: above everything.
    """
    index, names = (list(dict.fromkeys(frame[axis])) for axis in (rows, columns))
    table = np.full((len(index), len(names)), np.nan)
    for row in frame.to_dict("records"):
        table[index.index(row[rows]), names.index(row[columns])] = 100 * row["difference"]
    edge = float(np.nanmax(np.abs(table))) or 1.0
    with drawing(0.33 * len(index) + 1.1 + (0.3 if title else 0), title=title) as figure:
        axes = figure.subplots()
        axes.imshow(np.ma.masked_invalid(table), cmap="RdBu", vmin=-1.6 * edge, vmax=1.6 * edge, aspect="auto")
        for row in frame.to_dict("records"):
            _put_gain(axes, names.index(row[columns]), index.index(row[rows]), row)
        axes.set_xticks(range(len(names)), [str(n) for n in names])
        axes.set_yticks(range(len(index)), [str(n) for n in index])
        axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
        axes.set_xlabel("gain in points; bold: higher or lower; plain with =: equivalent; grey with ?: undecided", fontsize=8.5)
        for spine in axes.spines.values():
            spine.set_visible(False)
    return figure


def _put_gain(axes: Axes, column: int, row: int, cell: dict) -> None:
    verdict = cell["verdict"]
    sign = {"undecided": " ?", "equivalent": " ="}.get(verdict, "")
    text = f"{100 * cell['difference']:+.1f}".replace("-", "−") + sign
    decided = verdict in ("higher", "lower")
    axes.text(column, row, text, ha="center", va="center", fontsize=9.5, weight="bold" if decided else "normal",
              color=QUIET if verdict == "undecided" else INK, style="italic" if verdict == "undecided" else "normal")  # fmt: skip


def draw_groups(frame: pd.DataFrame, *, label: str = "remedy", group: str | None = None, title: str = "") -> Figure:
    """Mean recall of the head, middle and tail classes, one line a cell.

    Args:
        frame: of `compare.summarize`, with the columns `head`, `tail` and, where there is one, `middle`.
        label: column that names the lines.
        group: column that makes a panel of each of its values.
        title: above everything.
    """
    panels = {"": frame} if group is None else {str(v): frame[frame[group] == v] for v in dict.fromkeys(frame[group])}
    with drawing(0.27 * len(frame) + 0.3 * len(panels) + 0.9 + (0.3 if title else 0), title=title) as figure:
        ratios = [len(rows) + 0.5 for rows in panels.values()]
        grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=ratios).flat
        for axes, (name, rows) in zip(grid, panels.items(), strict=True):
            _put_groups(axes, rows)
            axes.set_title(name)
            name_lines(axes, [str(value) for value in rows[label]])
        grid[-1].set_xlabel("recall, mean over the classes of the group")
        legend_above(figure, grid[0])
    return figure


def _put_groups(axes: Axes, rows: pd.DataFrame) -> None:
    present = [name for name in GROUPS if name in rows and rows[name].notna().any()]
    places = np.arange(len(rows))
    axes.hlines(places, rows[present].min(axis=1), rows[present].max(axis=1), color="#BDBDBD", linewidth=2, zorder=1)
    for name in present:
        color, marker = GROUPS[name]
        axes.plot(rows[name], places, marker, color=color, markersize=7, label=name)
    axes.grid(axis="x")


def draw_pareto(
    frame: pd.DataFrame,
    *,
    cost: str = "seconds",
    label: str = "model",
    score: str = "balanced_accuracy",
    start: float | None = None,
    title: str = "",
) -> Figure:
    """Score against cost, with the frontier of those that nothing cheaper beats.

    Args:
        frame: with the columns `estimate`, `low`, `high`, `family`, `label` and `cost`; rows without a cost are left out.
        cost: column of the cost.
        label: column of the names beside the points.
        score: what `frame` holds.
        start: where the axis of the score begins; points below are left out and named under the axis. None shows all.
        title: above everything.
    """
    known = frame[frame[cost] > 0]
    shown = known if start is None else known[known["estimate"] >= start]
    with drawing(4.2 + (0.3 if title else 0), title=title) as figure:
        axes = figure.subplots()
        for row in shown.to_dict("records"):
            color, marker = FAMILY_COLORS[row["family"]], FAMILY_MARKERS[row["family"]]
            low, high = max(row["low"], -1.0), min(row["high"], 2.0)
            axes.plot([row[cost]] * 2, [low, high], color=color, linewidth=1.2, alpha=0.6, gid="interval")
            axes.plot(row[cost], row["estimate"], marker, color=color, markersize=8, zorder=3, gid="estimate",
                      label=FAMILY_TITLES[row["family"]])  # fmt: skip
        _put_frontier(axes, shown, cost)
        axes.set_xscale("log")
        _plain_log(axes)
        axes.margins(x=0.12, y=0.08)
        left_out = sorted(set(known[label]) - set(shown[label]))
        below = f"\nbelow the axis: {', '.join(left_out)}" if left_out else ""
        axes.set_xlabel(f"{COSTS.get(cost, cost)} (log scale){below}")
        axes.set_ylabel(f"{SCORE_TITLES.get(score, score)}, 95 % interval")
        axes.grid(axis="y")
        _legend_once(figure, axes)
        if start is not None:
            axes.set_ylim(bottom=start)
        _name_points(figure, axes, shown, cost, label)
    return figure


def _put_frontier(axes: Axes, frame: pd.DataFrame, cost: str) -> None:
    """From the cheapest on, a step up at each point that is better than all cheaper ones."""
    ordered = frame.sort_values([cost, "estimate"], ascending=[True, False])
    best = ordered[ordered["estimate"] > ordered["estimate"].cummax().shift(fill_value=-np.inf)]
    axes.plot(best[cost], best["estimate"], color=QUIET, linewidth=1.1, linestyle="--", drawstyle="steps-post", zorder=1, gid="frontier")


def _plain_log(axes: Axes) -> None:
    """Plain numbers along a logarithmic axis."""
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


def _legend_once(figure: Picture, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    if len(once) > 1:
        figure.legend(list(once.values()), list(once), loc="outside upper left", ncols=min(6, len(once)), columnspacing=0.9,
                      handletextpad=0.2)  # fmt: skip


PLACES = [(dx, dy) for distance in (1, 2, 3, 4) for dx, dy in (
    (8, 0), (-8, 0), (0, 10), (0, -10), (8, 9), (-8, 9), (8, -9), (-8, -9)) for dx, dy in ((dx * distance**0.7, dy * distance),)]  # fmt: skip
"""Where a name may stand beside its point, in units of a point (1/72 inch), the best first."""


def _name_points(figure: Picture, axes: Axes, frame: pd.DataFrame, cost: str, label: str) -> None:
    """A name beside each point, in the first place that is inside the axes and free of points and of other names."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    spots = axes.transData.transform(frame[[cost, "estimate"]].to_numpy(dtype=np.float64))
    taken = [Bbox.from_bounds(x - 9, y - 9, 18, 18) for x, y in spots]
    inside = axes.get_window_extent(renderer)
    for row, spot in zip(frame.to_dict("records"), spots, strict=True):
        text = axes.annotate(str(row[label]), (row[cost], row["estimate"]), xytext=PLACES[0], textcoords="offset points", fontsize=9)
        text.set_color(FAMILY_COLORS[row["family"]])
        text.set_in_layout(False)
        taken.append(_settle(text, spot, taken, inside, renderer))


def _settle(text: Text, spot: Sequence[float], taken: list[Bbox], inside: Bbox, renderer: object) -> Bbox:
    """Move the text to the first of `PLACES` that is free, and return the box that it takes."""
    for dx, dy in PLACES:
        text.set_position((dx, dy))
        text.set_horizontalalignment("left" if dx > 0 else "right" if dx < 0 else "center")
        text.set_verticalalignment("center" if dy == 0 else "bottom" if dy > 0 else "top")
        box = text.get_window_extent(renderer)  # type: ignore[arg-type]
        free = not any(box.overlaps(other) for other in taken)
        if free and inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1:
            break
    return box


def draw_by_count(frame: pd.DataFrame, *, by: str = "remedy", title: str = "") -> Figure:
    """Recall of a class against the number of its training images: every class of every run a small dot, their mean a line.

    Args:
        frame: one row a run and class, with the columns `count`, `recall` and `by`.
        by: column whose values are told apart by colour.
        title: above everything.
    """
    with drawing(3.3 + (0.3 if title else 0), title=title) as figure:
        axes = figure.subplots()
        for name, (color, marker) in palette([str(value) for value in frame[by]]).items():
            rows = frame[frame[by].astype(str) == name]
            axes.plot(rows["count"], rows["recall"], ".", color=color, alpha=0.3, markersize=4)
            mean = rows.groupby("count")["recall"].mean()
            axes.plot(mean.index, mean, color=color, marker=marker, markersize=5.5, label=name)
        axes.set_xscale("log")
        _plain_log(axes)
        axes.set_xlabel("training images of the class (log scale)")
        axes.set_ylabel("recall of the class")
        axes.grid(axis="y")
        legend_above(figure, axes)
    return figure


def draw_distance(frame: pd.DataFrame, *, by: str = "model", chance: float = 0.5, title: str = "") -> Figure:
    """Accuracy on the long-range probe against the distance of its marks, with the line of chance.

    Args:
        frame: of `compare.summarize(..., score="accuracy")`, with a column `distance` beside it.
        by: column whose values are told apart; colours are those of the families where each has one.
        chance: accuracy of guessing.
        title: above everything.
    """
    return _draw_lines(frame, x="distance", by=by, name="distance between the marks, rows", score="accuracy", title=title, chance=chance)


def draw_ratio(frame: pd.DataFrame, *, by: str = "remedy", score: str = "balanced_accuracy", title: str = "") -> Figure:
    """Score against the ratio of the largest to the smallest class.

    Args:
        frame: of `compare.summarize`; it has the column `ratio`.
        by: column whose values are told apart.
        score: what `frame` holds.
        title: above everything.
    """
    return _draw_lines(frame, x="ratio", by=by, name="largest class : smallest class (log scale)", score=score, title=title, log=True)


def _draw_lines(
    frame: pd.DataFrame, *, x: str, by: str, name: str, score: str, title: str, chance: float | None = None, log: bool = False
) -> Figure:
    """Estimates with their intervals along x, a little apart so that none hides another."""
    looks = _looks(frame, by)
    ticks = sorted(set(frame[x]))
    with drawing(3.4 + (0.3 if title else 0), title=title) as figure:
        axes = figure.subplots()
        if chance is not None:
            axes.axhline(chance, color=QUIET, linestyle=":", linewidth=1.2, label="chance", gid="chance")
        for place, (value, (color, marker)) in enumerate(looks.items()):
            rows = frame[frame[by].astype(str) == value].sort_values(x)
            shift = 0.07 * (place - (len(looks) - 1) / 2)
            at = np.searchsorted(ticks, rows[x]) + shift
            low, high = rows["low"].clip(0, 1), rows["high"].clip(0, 1)
            axes.vlines(at, low, high, color=color, linewidth=1.6, gid="interval")
            axes.plot(at, rows["estimate"], color=color, marker=marker, markersize=6, linewidth=1.2, label=value)
        axes.xaxis.set_major_locator(FixedLocator(range(len(ticks))))
        axes.set_xticks(range(len(ticks)), [f"{tick:g}" for tick in ticks])
        axes.set_xlabel(name)
        axes.set_ylabel(f"{SCORE_TITLES.get(score, score)}, 95 % interval")
        axes.grid(axis="y")
        legend_above(figure, axes)
    return figure


def _looks(frame: pd.DataFrame, by: str) -> dict[str, tuple[str, str]]:
    """Those of the families where each value of a column has a family of its own; else in order."""
    values = list(dict.fromkeys(frame[by].astype(str)))
    if "family" in frame:
        families = {value: set(frame.loc[frame[by].astype(str) == value, "family"]) for value in values}
        single = [next(iter(found)) for found in families.values() if len(found) == 1]
        if len(set(single)) == len(values):
            return dict(zip(values, palette(single).values(), strict=True))
    return palette(values)
