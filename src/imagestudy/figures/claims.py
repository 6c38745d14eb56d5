"""Draw all findings in one figure."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from matplotlib.axes import Axes

from imagestudy.figures.intervals import REACH, edge_of, name_lines, put_band, put_difference, put_verdict
from imagestudy.figures.style import QUIET, VERDICT_COLORS, Picture, drawing, shorten
from imagestudy.stats import Judged

LINE = 0.47
"""Height of one line, in inches."""
ROOM = 76
"""Number of letters that fit above a line."""


@runtime_checkable
class Finding(Protocol):
    """The parts of a finding that a figure shows; see `imagestudy.analysis.claims`."""

    @property
    def claim(self) -> str:
        """Number of the claim, such as A1."""

    @property
    def says(self) -> str:
        """Short text of the claim."""

    @property
    def verdict(self) -> str:
        """One of supported, contradicted, equivalent and undecided."""

    @property
    def judged(self) -> tuple[tuple[str, Judged], ...]:
        """Name and result of each comparison that the verdict rests on; empty if the architecture alone decides."""


def draw_verdicts(findings: Sequence[Finding], *, margin: float, reach: float = REACH, title: str = "") -> Picture:
    """Draw each finding with its verdict as a word and the intervals that decided it, in points.

    A finding without a comparison, decided by the architecture alone, has no interval.

    Args:
        findings: findings from `claims.decide`.
        margin: equivalence margin, as a share.
        reach: largest distance from 0 to the end of the axis, as a share; an estimate beyond it becomes an arrow with its number.
        title: title above the plot.
    """
    lines = [(finding, part) for finding in findings for part in (finding.judged or ((finding.says, None),))]
    with drawing(LINE * len(lines) + 0.75 + (0.3 if title else 0), title=title) as figure:
        axes = figure.subplots()
        put_band(axes, margin)
        intervals = [judged.interval for _, (_, judged) in lines if judged is not None]
        edge = edge_of(np.array([(i.estimate, i.low, i.high) for i in intervals]), margin, reach)
        for place, (finding, (name, judged)) in enumerate(lines):
            first = place == 0 or lines[place - 1][0] is not finding
            _put_words(axes, place, finding, name, first=first)
            if judged is not None:
                shares = (judged.interval.estimate, judged.interval.low, judged.interval.high)
                put_difference(axes, place, shares, color=VERDICT_COLORS[judged.verdict], edge=edge)
        name_lines(axes, [""] * len(lines))
        axes.set_ylim(len(lines) - 0.45, -0.75)
        axes.set_xlim(-100 * edge, 100 * edge)
        axes.set_xlabel(f"points in favor of the claim (gray band: ±{100 * margin:g}, equivalent)")
    return figure


def _put_words(axes: Axes, place: int, finding: Finding, name: str, *, first: bool) -> None:
    """Write the claim above its line and the verdict at the right of it."""
    across = axes.get_yaxis_transform()
    words = f"{finding.claim}  {finding.says}" if first else ""
    if len(finding.judged) > 1:
        words = f"{words}: {name}" if first else name
    axes.text(0 if first else 0.04, place - 0.37, shorten(words, room=ROOM), transform=across, va="center", fontsize=9, zorder=4,
              bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})  # fmt: skip
    if first:
        put_verdict(axes, place, finding.verdict, weight="bold")
    if not finding.judged:
        axes.text(
            0.5,
            place,
            "decided by architecture alone",
            transform=across,
            va="center",
            ha="center",
            fontsize=9.5,
            color=QUIET,
            backgroundcolor="white",
        )
