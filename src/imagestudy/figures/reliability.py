"""Draw how well predicted probabilities are calibrated, before and after corrections."""

import pandas as pd
from matplotlib.axes import Axes

from imagestudy.figures.intervals import name_lines
from imagestudy.figures.style import CYCLE, QUIET, Picture, add_legend, drawing, name_remedies, named_artists, palette

POOLED = -1
"""Value of `seed` for the rows that pool all runs."""


def draw_reliability(frame: pd.DataFrame, *, by: str = "remedy", title: str = "") -> Picture:
    """Draw reliability diagrams: accuracy against confidence, with the share of images in each confidence bin below.

    There is one column of panels per stage of correction. Calibrated probabilities lie on the dotted diagonal; points below it are
    overconfident. Strong lines pool all runs, faint lines are single runs.

    Args:
        frame: table from `imbalance.reliability`, one row per stage, seed, bin and value of `by`, with the columns `confidence`,
            `right` (accuracy) and `share` (of the images).
        by: column that sets color and marker.
        title: title above all panels.
    """
    frame = name_remedies(frame)
    stages = list(dict.fromkeys(frame["stage"]))
    with drawing(3.5 + (0.3 if title else 0), title=title) as figure:
        upper, lower = figure.subplots(2, len(stages), sharex=True, sharey="row", squeeze=False, height_ratios=(3, 1.2))
        for above, below, stage in zip(upper, lower, stages, strict=True):
            above.plot([0, 1], [0, 1], color=QUIET, linestyle=":", linewidth=1.2, gid="right of all")
            for name, style in palette([str(value) for value in frame[by]]).items():
                _put_confidence(above, below, frame[(frame["stage"] == stage) & (frame[by].astype(str) == name)], name, style)
            above.set_title(stage)
            above.set(xlim=(0, 1.03), ylim=(0, 1.03), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
            below.set_ylim(0, None)
            for axes in (above, below):
                axes.grid(axis="both")
        upper[0].set_ylabel("accuracy")
        lower[0].set_ylabel("share of\nimages")
        lower[len(stages) // 2].set_xlabel("confidence")
        add_legend(figure, named_artists(upper[0]))
    return figure


def _put_confidence(above: Axes, below: Axes, rows: pd.DataFrame, name: str, style: tuple[str, str]) -> None:
    color, marker = style
    for _, run in rows[rows["seed"] != POOLED].groupby("seed"):
        above.plot(run["confidence"], run["right"], color=color, linewidth=0.6, alpha=0.25, gid="run")
    pooled = rows[rows["seed"] == POOLED]
    for axes, column in ((above, "right"), (below, "share")):
        axes.plot(
            pooled["confidence"], pooled[column], color=color, marker=marker, markersize=3, linewidth=1.4, label=name, gid=column
        )


def draw_stages(frame: pd.DataFrame, *, score: str, name: str, title: str = "") -> Picture:
    """Draw a calibration score at each stage of correction, one line per remedy; lower is better.

    Args:
        frame: table from `imbalance.calibration`, one row per remedy and stage.
        score: column with the score.
        name: name of the score for the axis label.
        title: title above the plot.
    """
    frame = name_remedies(frame)
    table = frame.pivot(index="remedy", columns="stage", values=score)
    table = table.loc[list(dict.fromkeys(frame["remedy"])), list(dict.fromkeys(frame["stage"]))]
    with drawing(0.25 * len(table) + 1.0 + (0.3 if title else 0), title=title) as figure:
        axes = figure.subplots()
        axes.hlines(range(len(table)), table.min(axis=1), table.max(axis=1), color="#BDBDBD", linewidth=2, zorder=1)
        for stage, color, marker in zip(table, (CYCLE[1], CYCLE[6], CYCLE[0]), ("o", "D", "s"), strict=False):
            axes.plot(table[stage], range(len(table)), marker, color=color, markersize=6, label=stage)
        name_lines(axes, [str(remedy) for remedy in table.index])
        axes.set_xlim(0, None)
        axes.set_xlabel(f"{name}, mean over runs (lower is better)")
        axes.grid(axis="x")
        add_legend(figure, named_artists(axes))
    return figure
