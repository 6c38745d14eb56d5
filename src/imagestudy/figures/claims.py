"""All findings at a glance."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from imagestudy.compare import Judged
from imagestudy.figures.intervals import name_lines, put_band, put_interval
from imagestudy.figures.style import QUIET, VERDICT_COLORS, drawing, shorten

REACH = 0.15
LINE = 0.46
ROOM = 58
"""Letters that fit above a line."""


class Finding(Protocol):
    """What is drawn of a finding, see `imagestudy.claims`."""

    @property
    def claim(self) -> str:
        """Its number."""

    @property
    def says(self) -> str:
        """The claim, in a few words."""

    @property
    def verdict(self) -> str:
        """Supported, contradicted, equivalent or undecided."""

    @property
    def judged(self) -> tuple[tuple[str, Judged], ...]:
        """The comparisons behind it, each named."""


def draw_verdicts(findings: Sequence[Finding], *, margin: float, reach: float = REACH, title: str = "") -> Figure:
    """Every finding with its verdict as a word and the intervals that decided it, in points; structure alone has no interval.

    Args:
        findings: of `claims.decide`.
        margin: of equivalence, a share.
        reach: how far the axis goes at most on either side, a share; an estimate beyond it is an arrow with its number.
        title: above everything.
    """
    lines = [(finding, part) for finding in findings for part in (finding.judged or ((finding.says, None),))]
    with drawing(LINE * len(lines) + 0.75 + (0.3 if title else 0), title=title) as figure:
        axes = figure.subplots()
        put_band(axes, margin)
        edge = 100 * _edge([judged for _, (_, judged) in lines if judged is not None], margin, reach)
        for place, (finding, (name, judged)) in enumerate(lines):
            first = place == 0 or lines[place - 1][0] is not finding
            _put_words(axes, place, finding, name, first=first)
            if judged is not None:
                _put_judged(axes, place, judged, VERDICT_COLORS[finding.verdict], edge)
        name_lines(axes, [""] * len(lines))
        axes.set_ylim(len(lines) - 0.45, -0.75)
        axes.set_xlim(-edge, edge)
        axes.set_xlabel(f"points in favour of the claim (grey band: ±{100 * margin:g}, equivalent)")
    return figure


def _edge(judged: Sequence[Judged], margin: float, reach: float) -> float:
    bounds = [abs(b) for j in judged for b in (j.interval.low, j.interval.high, j.interval.estimate) if np.isfinite(b)]
    return min(reach, max([1.05 * b for b in bounds] + [2 * margin]))


def _put_words(axes: Axes, place: int, finding: Finding, name: str, *, first: bool) -> None:
    """Claim and words above the line, the verdict at the right of it."""
    across = axes.get_yaxis_transform()
    words = f"{finding.claim}  {finding.says}" if first else ""
    if len(finding.judged) > 1:
        words = f"{words}: {name}" if first else f"{'':>{len(finding.claim)}}  {name}"
    axes.text(0, place - 0.36, shorten(words, room=ROOM + 14), transform=across, va="center", fontsize=8.5, clip_on=False)
    if first:
        axes.text(1.02, place, finding.verdict, transform=across, va="center", weight="bold", color=VERDICT_COLORS[finding.verdict])
    if not finding.judged:
        axes.text(0.5, place, "structure alone", transform=across, va="center", ha="center", fontsize=9, color=QUIET)


def _put_judged(axes: Axes, place: int, judged: Judged, color: str, edge: float) -> None:
    estimate, low, high = (100 * share for share in (judged.interval.estimate, judged.interval.low, judged.interval.high))
    if abs(estimate) <= edge:
        put_interval(axes, place, (estimate, low, high), color, filled=judged.verdict != "undecided")
        return
    side = 1 if estimate > 0 else -1
    axes.plot([side * 0.975 * edge], [place], ">" if side > 0 else "<", color=color, markersize=7, gid="beyond")
    axes.text(side * 0.94 * edge, place, f"{estimate:+.1f}".replace("-", "−"), va="center", ha="right" if side > 0 else "left",
              color=color, fontsize=9)  # fmt: skip
