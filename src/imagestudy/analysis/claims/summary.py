"""Findings → what an overview of the claims says: which are shown, each in words, and how many there are of each verdict."""

from collections.abc import Sequence

import pandas as pd

from imagestudy.analysis import comparisons
from imagestudy.analysis.claims import CLAIMS, Finding
from imagestudy.core import text
from imagestudy.core.errors import InputError, require_known
from imagestudy.stats import Judged

ORDER = ("supported", "contradicted", "equivalent", "undecided")


def number(finding: Finding) -> str:
    """The number of a finding's claim: `A11` for `A11 filter, clean`."""
    return finding.claim.split()[0]


def check(numbers: Sequence[str]) -> None:
    """Raise `InputError` unless each is the number of a claim that is decided here; fit to be asked before anything trains."""
    for given in numbers:
        require_known(given, [f"A{n}" for group in CLAIMS for n in _numbers(group)], what="claim", where="parameter 'claims_shown'")


def choose(findings: Sequence[Finding], numbers: Sequence[str]) -> list[Finding]:
    """The findings on the claims of these numbers, in their own order; all of them if no number is given.

    Raises:
        InputError: a number that no finding has, such as a claim for which the study has no runs.
    """
    known = list(dict.fromkeys(map(number, findings)))
    wanted = [require_known(given, known, what="claim", where="parameter 'claims_shown'") for given in numbers] or known
    return [finding for finding in findings if number(finding) in wanted]


def reach(points: float, *, margin: float) -> float:
    """Points that an axis shows at most on each side, as a share; less than the margin would hide what decides."""
    if not 100 * margin < points <= 100:
        raise InputError(f"reach {points:g} was given in parameter 'reach'; allowed: above {100 * margin:g} and up to 100 points")
    return points / 100


def explain(findings: Sequence[Finding], *numbers: str, asides: bool) -> str:
    """The findings on some claims as a Markdown list; says so if none of them is among those given.

    Args:
        findings: those that are shown.
        numbers: of the claims.
        asides: whether what else was measured is said too.
    """
    said = [f"* {_explain(finding, asides=asides)}" for finding in findings if number(finding) in numbers]
    return "\n".join(said) or f"Not shown: {', '.join(numbers)}. Either they were left out, or the study has no runs for them."


def _explain(finding: Finding, *, asides: bool) -> str:
    said = [f"**{finding.claim}** {finding.says}: **{finding.verdict}**."]
    said += [_say(name, judged) for name, judged in finding.judged] or [f"*By structure alone:* {finding.effect}."]
    said += [finding.aside] if asides and finding.aside else []
    return " ".join(said)


def _say(name: str, judged: Judged) -> str:
    interval = judged.interval
    sentence = f"*{name}:* {comparisons.say_points(interval)} at {level(judged)}, {comparisons.say_n(interval)}"
    needed = comparisons.say_needed(judged.needed) if judged.verdict == "undecided" else ""
    return f"{sentence}; {needed} would decide it." if needed else f"{sentence}."


def level(judged: Judged) -> str:
    """`99 %`."""
    return f"{100 * judged.interval.level:.3g} %"


def declared(findings: Sequence[Finding]) -> pd.DataFrame:
    """How strictly the claims are decided: one row a group of `claims.CLAIMS`, with `comparisons`, `level`, `runs`, `images`."""
    rows = {}
    for finding in findings:
        for _, judged in finding.judged[:1]:
            interval = judged.interval
            strictness = {"comparisons": judged.comparisons, "level": level(judged)}
            rows[group_of(finding)] = strictness | {"runs": interval.runs, "images": interval.images}
    return pd.DataFrame([{"claims": group} | row for group, row in rows.items()])


def group_of(finding: Finding) -> str:
    """The claims that are decided together with this one: `A3–A5` for `A4`."""
    (found,) = [group for group in CLAIMS if int(number(finding)[1:]) in _numbers(group)]
    return found


def _numbers(group: str) -> range:
    """3, 4 and 5 for `A3–A5`."""
    ends = [int(end[1:]) for end in group.split("–")]
    return range(ends[0], ends[-1] + 1)


def undecided(findings: Sequence[Finding]) -> pd.DataFrame:
    """One row a comparison that keeps its claim undecided: what was seen, and what would decide it."""
    rows = [
        {"claim": finding.claim, "comparison": name, "points": _folded(judged), "would decide it": _needed(judged)}
        for finding in findings
        for name, judged in finding.judged
        if finding.verdict == "undecided" and judged.verdict == "undecided"
    ]
    return pd.DataFrame(rows, columns=["claim", "comparison", "points", "would decide it"])


def _folded(judged: Judged) -> str:
    return comparisons.say_points(judged.interval).replace(" points", "")


def _needed(judged: Judged) -> str:
    return comparisons.say_needed(judged.needed) or text.MISSING


def count(findings: Sequence[Finding]) -> str:
    """How many findings there are of each verdict, and on which claims, as a sentence and a Markdown list."""
    by_verdict = {verdict: [f.claim for f in findings if f.verdict == verdict] for verdict in ORDER}
    lines = [f"* **{verdict}**: {len(who)} ({'; '.join(who)})" for verdict, who in by_verdict.items() if who]
    findings_ = "1 finding" if len(findings) == 1 else f"{len(findings)} findings"
    return f"{findings_} on {len(set(map(number, findings)))} of the article's claims:\n\n" + "\n".join(lines)
