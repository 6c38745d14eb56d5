"""Summarize findings: choose which ones to show, describe each in words, and count the verdicts."""

from collections.abc import Sequence

import pandas as pd

from imagestudy.analysis import comparisons
from imagestudy.analysis.claims import CLAIMS, Finding
from imagestudy.core import text
from imagestudy.core.errors import InputError, require_known
from imagestudy.stats import Judged

ORDER = ("supported", "contradicted", "equivalent", "undecided")


def number(finding: Finding) -> str:
    """Return the number of the claim of a finding, such as `A11` for `A11 filter, clean`."""
    return finding.claim.split()[0]


def check(numbers: Sequence[str]) -> None:
    """Check the numbers of claims before anything trains.

    Raises:
        InputError: if one of them is not the number of a claim in `claims.CLAIMS`.
    """
    for given in numbers:
        require_known(given, [f"A{n}" for group in CLAIMS for n in _numbers(group)], what="claim", where="parameter 'claims_shown'")


def choose(findings: Sequence[Finding], numbers: Sequence[str]) -> list[Finding]:
    """Return the findings on the claims with the given numbers, in the order of the findings; all findings if no number is given.

    Raises:
        InputError: if no finding has one of the numbers, for example because the study has no runs for this claim.
    """
    known = list(dict.fromkeys(map(number, findings)))
    wanted = [require_known(given, known, what="claim", where="parameter 'claims_shown'") for given in numbers] or known
    return [finding for finding in findings if number(finding) in wanted]


def reach(points: float, *, margin: float) -> float:
    """Return the largest difference that an axis shows on each side, as a share.

    Raises:
        InputError: if the axis would not reach beyond the margin, or would exceed 100 points.
    """
    if not 100 * margin < points <= 100:
        raise InputError(f"{points:g} was given in parameter 'reach'; allowed: above {100 * margin:g} and up to 100 points")
    return points / 100


def explain(findings: Sequence[Finding], *numbers: str, asides: bool) -> str:
    """Describe the findings on some claims as a Markdown list, or say that none of them is shown.

    Args:
        findings: the findings that are shown.
        numbers: the numbers of the claims.
        asides: whether to add what else was measured.
    """
    said = [f"* {_explain(finding, asides=asides)}" for finding in findings if number(finding) in numbers]
    were, them = ("It was", "it") if len(numbers) == 1 else ("They were", "them")
    return "\n".join(said) or f"Not shown: {', '.join(numbers)}. {were} left out, or the study has no runs for {them}."


def _explain(finding: Finding, *, asides: bool) -> str:
    said = [f"**{finding.claim}** {finding.says}: **{finding.verdict}**."]
    said += [_say(name, judged) for name, judged in finding.judged] or [f"*Decided by architecture alone:* {finding.effect}."]
    said += [finding.aside] if asides and finding.aside else []
    return " ".join(said)


def _say(name: str, judged: Judged) -> str:
    interval = judged.interval
    sentence = f"*{name}:* {comparisons.say_points(interval)} at {level(judged)}, {comparisons.say_n(interval)}"
    needed = comparisons.say_needed(judged.needed) if judged.verdict == "undecided" else ""
    return f"{sentence}; {needed} would decide it." if needed else f"{sentence}."


def level(judged: Judged) -> str:
    """Format the confidence level of a comparison, as `99 %`."""
    return f"{100 * judged.interval.level:.3g} %"


def declared(findings: Sequence[Finding]) -> pd.DataFrame:
    """Tabulate `comparisons`, `level`, `runs` and `images` of each group of claims that are corrected together."""
    rows = {}
    for finding in findings:
        for _, judged in finding.judged[:1]:
            interval = judged.interval
            strictness = {"comparisons": judged.comparisons, "level": level(judged)}
            rows[group_of(finding)] = strictness | {"runs": interval.runs, "images": interval.images}
    return pd.DataFrame([{"claims": group} | row for group, row in rows.items()])


def group_of(finding: Finding) -> str:
    """Return the group of claims that are decided together with the claim of a finding, such as `A3–A5` for `A4`."""
    (found,) = [group for group in CLAIMS if int(number(finding)[1:]) in _numbers(group)]
    return found


def _numbers(group: str) -> range:
    """Return the numbers of the claims of a group, such as 3, 4 and 5 for `A3–A5`."""
    ends = [int(end[1:]) for end in group.split("–")]
    return range(ends[0], ends[-1] + 1)


def undecided(findings: Sequence[Finding]) -> pd.DataFrame:
    """Tabulate the undecided comparisons of undecided claims, with their intervals and what would decide them."""
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
    """Count the findings of each verdict and list their claims, as a sentence and a Markdown list."""
    by_verdict = {verdict: [f.claim for f in findings if f.verdict == verdict] for verdict in ORDER}
    lines = [f"* **{verdict}**: {len(who)} ({'; '.join(who)})" for verdict, who in by_verdict.items() if who]
    findings_ = "1 finding" if len(findings) == 1 else f"{len(findings)} findings"
    return f"{findings_} on {len(set(map(number, findings)))} of the article's claims:\n\n" + "\n".join(lines)
