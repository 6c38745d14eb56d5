"""Draw scores by remedy, group of classes, class size, distance and ratio."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from imagestudy.figures.intervals import name_lines
from imagestudy.figures.pareto import use_plain_log
from imagestudy.figures.style import (
    INK,
    QUIET,
    Picture,
    add_legend,
    draw_sentence,
    drawing,
    legend_keys,
    name_remedies,
    named_artists,
    palette,
    say_score,
)

FULL_COLOR = 0.8
"""The color scale ends at this quantile of the absolute gains, so that one extreme gain does not make all others pale."""

GROUPS = {"head": ("#0B3C5D", "s"), "middle": ("#3C8DBC", "o"), "tail": ("#C24E00", "v")}


def draw_gains(frame: pd.DataFrame, *, rows: str = "remedy", columns: str = "model", title: str = "") -> Picture:
    """Draw gains over the baseline as a heat map, in points; undecided gains are gray and have a question mark.

    Args:
        frame: table from `comparisons.against`, one row per cell of the heat map; a missing pair is left blank. If it has a column
            `near`, the gains that are statistically indistinguishable from the highest of their column get a frame.
        rows: column with the row names of the heat map.
        columns: column with its column names.
        title: title above the heat map.
    """
    import seaborn as sns

    frame = name_remedies(frame)
    index, names = (list(dict.fromkeys(frame[axis])) for axis in (rows, columns))
    cells = frame.assign(points=100 * frame["difference"], shade=frame["verdict"].map({"undecided": 0.25}).fillna(1.0))
    table, shade = (cells.pivot(index=rows, columns=columns, values=part).loc[index, names] for part in ("points", "shade"))
    edge = float(np.nanquantile(table.abs(), FULL_COLOR)) or 1.0
    with drawing(0.33 * len(index) + 1.1 + (0.3 if title else 0), title=title) as figure:
        axes = figure.subplots()
        sns.heatmap(table.clip(-edge, edge), alpha=shade.fillna(0.0).to_numpy(), cmap="RdBu", vmin=-1.6 * edge, vmax=1.6 * edge,
                    cbar=False, xticklabels=False, yticklabels=False, ax=axes)  # fmt: skip
        for row in frame.to_dict("records"):
            _put_gain(axes, names.index(row[columns]) + 0.5, index.index(row[rows]) + 0.5, row)
        axes.set_xticks(np.arange(len(names)) + 0.5, [str(n) for n in names])
        axes.set_yticks(np.arange(len(index)) + 0.5, [str(n) for n in index])
        axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
        axes.set(xlabel="", ylabel="")
        framed = "\nframed: statistically indistinguishable from the highest of the column" if "near" in frame else ""
        note = f"gain in points; bold: higher or lower, =: equivalent, ?: undecided{framed}"
        figure.supxlabel(note, x=0.01, ha="left", fontsize=9)
    return figure


def _put_gain(axes: Axes, x: float, y: float, cell: dict) -> None:
    verdict = cell["verdict"]
    sign = {"undecided": " ?", "equivalent": " ="}.get(verdict, "")
    text = f"{100 * cell['difference']:+.1f}".replace("-0.0", "+0.0").replace("-", "−") + sign
    decided = verdict in ("higher", "lower")
    axes.text(x, y, text, ha="center", va="center", fontsize=9.5, weight="bold" if decided else "normal",
              color=QUIET if verdict == "undecided" else INK, style="italic" if verdict == "undecided" else "normal")  # fmt: skip
    if cell.get("near"):
        axes.add_patch(Rectangle((x - 0.46, y - 0.42), 0.92, 0.84, fill=False, edgecolor=INK, linewidth=1.1, gid="near"))


def draw_groups(frame: pd.DataFrame, *, label: str = "remedy", group: str | None = None, title: str = "") -> Picture:
    """Draw the mean recall of the head, middle and tail classes, one line per row of the table.

    Args:
        frame: table from `comparisons.summarize` with the columns `head`, `tail` and optionally `middle`.
        label: column with the names of the lines.
        group: column that splits the table into panels, one per value.
        title: title above all panels.
    """
    frame = name_remedies(frame)
    panels = {"": frame} if group is None else {str(v): frame[frame[group] == v] for v in dict.fromkeys(frame[group])}
    with drawing(0.27 * len(frame) + 0.3 * len(panels) + 0.9 + (0.3 if title else 0), title=title) as figure:
        ratios = [len(rows) + 0.5 for rows in panels.values()]
        grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=ratios).flat
        for axes, (name, rows) in zip(grid, panels.items(), strict=True):
            _put_groups(axes, rows)
            axes.set_title(name)
            name_lines(axes, [str(value) for value in rows[label]])
        grid[-1].set_xlabel("mean recall of the classes in the group")
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
    """Draw the recall of each class against its number of training images: runs as small dots, their mean as a line.

    Args:
        frame: one row per run and class, with the columns `count`, `recall` and `by`.
        by: column that sets color and marker.
        title: title above the plot.
    """
    import seaborn as sns

    frame = name_remedies(frame)
    styles = palette([str(value) for value in frame[by]])
    colors, markers = ({name: style[part] for name, style in styles.items()} for part in (0, 1))
    shared = {"data": frame.astype({by: str}), "x": "count", "y": "recall", "hue": by, "palette": colors, "legend": False}
    with drawing(3.3 + (0.3 if title else 0), title=title) as figure:
        axes = figure.subplots()
        sns.scatterplot(**shared, s=8, linewidth=0, alpha=0.3, ax=axes)
        sns.lineplot(**shared, style=by, markers=markers, dashes=False, markersize=6.5, markeredgewidth=0, errorbar=None, ax=axes)
        axes.set_xscale("log")
        use_plain_log(axes)
        axes.set_xlabel("training images of the class (log scale)")
        axes.set_ylabel("recall of the class")
        axes.grid(axis="y")
        add_legend(figure, legend_keys(styles))
    return figure


def draw_distance(frame: pd.DataFrame, *, by: str = "model", chance: float = 0.5, title: str = "") -> Picture:
    """Draw accuracy on the long-range probe against the distance between its marks, with a line at chance level.

    Args:
        frame: table from `comparisons.summarize(..., score="accuracy")` with an added column `distance`, in rows of the image.
        by: column that sets color and marker; they are those of the families if every value has a family of its own.
        chance: accuracy of guessing.
        title: title above the plot.
    """
    return _draw_lines(
        frame, x="distance", by=by, name="distance between the marks, rows", score="accuracy", title=title, chance=chance
    )


def draw_ratio(frame: pd.DataFrame, *, by: str = "remedy", score: str = "balanced_accuracy", title: str = "") -> Picture:
    """Draw the score against the imbalance ratio, the size of the largest class divided by that of the smallest.

    Args:
        frame: table from `comparisons.summarize` with the column `ratio`. An empty table gives a sentence instead of a plot.
        by: column that sets color and marker.
        score: score that `frame` contains.
        title: title above the plot.
    """
    if frame.empty:
        return draw_sentence("This effort does not vary the imbalance ratio.", title=title)
    return _draw_lines(frame, x="ratio", by=by, name="largest class : smallest class", score=score, title=title)


def _draw_lines(frame: pd.DataFrame, *, x: str, by: str, name: str, score: str, title: str, chance: float | None = None) -> Picture:
    """Draw estimates with their intervals along x, slightly shifted to avoid overlap; a single run has no interval."""
    frame = name_remedies(frame)
    styles = _family_styles(frame, by)
    ticks = sorted(set(frame[x]))
    with drawing(3.4 + (0.3 if title else 0), title=title) as figure:
        axes = figure.subplots()
        if chance is not None:
            axes.axhline(chance, color=QUIET, linestyle=":", linewidth=1.2, label="chance", gid="chance")
        for place, (value, (color, marker)) in enumerate(styles.items()):
            rows = frame[frame[by].astype(str) == value].sort_values(x)
            shift = 0.07 * (place - (len(styles) - 1) / 2)
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


def _family_styles(frame: pd.DataFrame, by: str) -> dict[str, tuple[str, str]]:
    """Return color and marker for each value of a column: those of its family if no two values share one, else in order."""
    values = list(dict.fromkeys(frame[by].astype(str)))
    if "family" in frame:
        families = {value: set(frame.loc[frame[by].astype(str) == value, "family"]) for value in values}
        single = [next(iter(found)) for found in families.values() if len(found) == 1]
        if len(set(single)) == len(values):
            return dict(zip(values, palette(single).values(), strict=True))
    return palette(values)
