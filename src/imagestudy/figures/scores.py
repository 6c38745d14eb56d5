"""Scores by remedy, group of classes, class size, distance and ratio."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from imagestudy.figures.intervals import name_lines
from imagestudy.figures.pareto import use_plain_log
from imagestudy.figures.style import INK, QUIET, Picture, add_legend, draw_sentence, drawing, named_artists, palette, say_score

FULL_COLOR = 0.8
"""The share of the gains below which colour still grows with the gain: one that is far out does not fade all others."""

GROUPS = {"head": ("#0B3C5D", "s"), "middle": ("#3C8DBC", "o"), "tail": ("#C24E00", "v")}


def draw_gains(frame: pd.DataFrame, *, rows: str = "remedy", columns: str = "model", title: str = "") -> Picture:
    """Gains in points over the baseline, as a shaded table; undecided ones are grey with a question mark.

    Args:
        frame: of `compare.against`, one row a cell of the table; a pair that is missing is left blank. Where it has a column
            `near`, those that cannot be told from the highest of their column are framed.
        rows: column of the frame whose values make the rows.
        columns: the same for the columns.
        title: above everything.
    """
    index, names = (list(dict.fromkeys(frame[axis])) for axis in (rows, columns))
    table, shade = np.full((2, len(index), len(names)), np.nan)
    for row in frame.to_dict("records"):
        place = index.index(row[rows]), names.index(row[columns])
        table[place], shade[place] = 100 * row["difference"], 0.25 if row["verdict"] == "undecided" else 1.0
    shade = np.nan_to_num(shade)
    edge = float(np.nanquantile(np.abs(table), FULL_COLOR)) or 1.0
    with drawing(0.33 * len(index) + 1.1 + (0.3 if title else 0), title=title) as figure:
        axes = figure.subplots()
        colored = np.ma.masked_invalid(np.clip(table, -edge, edge))
        axes.imshow(colored, alpha=shade, cmap="RdBu", vmin=-1.6 * edge, vmax=1.6 * edge, aspect="auto")
        for row in frame.to_dict("records"):
            _put_gain(axes, names.index(row[columns]), index.index(row[rows]), row)
            if row.get("near"):
                corner = (names.index(row[columns]) - 0.46, index.index(row[rows]) - 0.42)
                axes.add_patch(Rectangle(corner, 0.92, 0.84, fill=False, edgecolor=INK, linewidth=1.1, gid="near"))
        axes.set_xticks(range(len(names)), [str(n) for n in names])
        axes.set_yticks(range(len(index)), [str(n) for n in index])
        axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
        framed = "\nframed: not distinguishable from the highest of the column" if "near" in frame else ""
        said = f"gain in points; bold: higher or lower, =: equivalent, ?: undecided{framed}"
        figure.supxlabel(said, x=0.01, ha="left", fontsize=9)
        for spine in axes.spines.values():
            spine.set_visible(False)
    return figure


def _put_gain(axes: Axes, column: int, row: int, cell: dict) -> None:
    verdict = cell["verdict"]
    sign = {"undecided": " ?", "equivalent": " ="}.get(verdict, "")
    text = f"{100 * cell['difference']:+.1f}".replace("-0.0", "+0.0").replace("-", "−") + sign
    decided = verdict in ("higher", "lower")
    axes.text(column, row, text, ha="center", va="center", fontsize=9.5, weight="bold" if decided else "normal",
              color=QUIET if verdict == "undecided" else INK, style="italic" if verdict == "undecided" else "normal")  # fmt: skip


def draw_groups(frame: pd.DataFrame, *, label: str = "remedy", group: str | None = None, title: str = "") -> Picture:
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
        add_legend(figure, named_artists(grid[0]))
    return figure


def _put_groups(axes: Axes, rows: pd.DataFrame) -> None:
    present = [name for name in GROUPS if name in rows and rows[name].notna().any()]
    places = np.arange(len(rows))
    axes.hlines(places, rows[present].min(axis=1), rows[present].max(axis=1), color="#BDBDBD", linewidth=2, zorder=1)
    for name in present:
        color, marker = GROUPS[name]
        axes.plot(rows[name], places, marker, color=color, markersize=7, label=name)
    axes.grid(axis="x")


def draw_by_count(frame: pd.DataFrame, *, by: str = "remedy", title: str = "") -> Picture:
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
        use_plain_log(axes)
        axes.set_xlabel("training images of the class (log scale)")
        axes.set_ylabel("recall of the class")
        axes.grid(axis="y")
        add_legend(figure, named_artists(axes))
    return figure


def draw_distance(frame: pd.DataFrame, *, by: str = "model", chance: float = 0.5, title: str = "") -> Picture:
    """Accuracy on the long-range probe against the distance of its marks, with the line of chance.

    Args:
        frame: of `compare.summarize(..., score="accuracy")`, with a column `distance` beside it.
        by: column whose values are told apart; colours are those of the families where each has one.
        chance: accuracy of guessing.
        title: above everything.
    """
    return _draw_lines(
        frame, x="distance", by=by, name="distance between the marks, rows", score="accuracy", title=title, chance=chance
    )


def draw_ratio(frame: pd.DataFrame, *, by: str = "remedy", score: str = "balanced_accuracy", title: str = "") -> Picture:
    """Score against the ratio of the largest to the smallest class.

    Args:
        frame: of `compare.summarize`; it has the column `ratio`. An empty one gives a sentence.
        by: column whose values are told apart.
        score: what `frame` holds.
        title: above everything.
    """
    if frame.empty:
        return draw_sentence("This effort runs no profiles of several ratios.", title=title)
    return _draw_lines(frame, x="ratio", by=by, name="largest class : smallest class", score=score, title=title)


def _draw_lines(frame: pd.DataFrame, *, x: str, by: str, name: str, score: str, title: str, chance: float | None = None) -> Picture:
    """Estimates with their intervals along x, a little apart so that none hides another; a single run has no interval."""
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
            low, high = rows["low"].clip(0, 1).to_numpy(), rows["high"].clip(0, 1).to_numpy()
            several = high - low < 1
            axes.vlines(at[several], low[several], high[several], color=color, linewidth=1.6, gid="interval")
            label = value if several.any() else f"{value} (one run)"
            axes.plot(at, rows["estimate"], color=color, marker=marker, markersize=6, linewidth=1.2, label=label)
        axes.set_xticks(range(len(ticks)), [f"{tick:g}" for tick in ticks])
        axes.set_xlabel(name)
        axes.set_ylabel(say_score(score, lines=2))
        axes.grid(axis="y")
        add_legend(figure, named_artists(axes))
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
