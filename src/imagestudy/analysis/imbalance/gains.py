"""What plain training loses to imbalance, and what each remedy gains over it."""

import pandas as pd

from imagestudy.analysis import comparisons
from imagestudy.analysis.imbalance.selection import MEMBERS, PLAIN, Shown, pairs, remedies_of
from imagestudy.experiments import grids


def losses(shown: Shown) -> pd.DataFrame:
    """Plain training under each profile against a balanced set of as many images: one row a member and profile.

    Returns:
        Columns of `compare.against`; the members under one profile are declared together.
    """
    plan, frames = shown.plan, []
    for profile, balanced in pairs(plan, shown.profiles):
        for name in MEMBERS:
            ours, theirs = (shown.records.of(grids.cell(plan, name, profile=one)) for one in (profile, balanced))
            if len(ours) and len(theirs):
                frames.append(comparisons.against(ours, theirs, margin=plan.study.margin, comparisons=len(MEMBERS)))
    return joined(frames)


def gains(shown: Shown) -> pd.DataFrame:
    """Every remedy that was run against `none`: one row a profile, model and remedy; what a model cannot follow has no row.

    Returns:
        Columns of `compare.against`; the remedies of a profile are declared together, as many for every model. Those that gain most
        under the first profile, on the mean of the models, come first.
    """
    frames = []
    for rank in range(len(shown.profiles)):
        declared = declared_remedies(shown, rank=rank)
        for model in shown.plan.study.crossed:
            cells = shown.cells(model, rank=rank)
            plain = cells.pop(PLAIN, None)
            frames += [
                comparisons.against(cell, plain, margin=shown.plan.study.margin, comparisons=declared)
                for cell in cells.values()
                if plain is not None
            ]
    return _most_gain_first(joined(frames), shown.profiles[0].label)


def _most_gain_first(frame: pd.DataFrame, profile: str) -> pd.DataFrame:
    if frame.empty:
        return frame
    mean = frame[frame["profile"] == profile].groupby("remedy")["difference"].mean()
    place = (-mean).rank(method="first")
    return frame.sort_values("remedy", key=lambda names: names.map(place), kind="stable", ignore_index=True)


def declared_remedies(shown: Shown, *, rank: int) -> int:
    """How many remedies are set against `none` under the profile of this rank."""
    tried = {name for model in shown.plan.study.crossed for name in remedies_of(shown.plan, model, rank=rank)}
    return max(1, len(tried - {PLAIN}))


def joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """The frames below one another; an empty one if there are none."""
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def say_verdicts(frame: pd.DataFrame, *, of: str) -> str:
    """`Gains over none: 12 higher, 2 lower, 16 undecided.`; `of` is what they are."""
    number = frame["verdict"].value_counts().to_dict() if len(frame) else {}
    said = [f"{number[verdict]} {verdict}" for verdict in ("higher", "lower", "equivalent", "undecided") if verdict in number]
    return f"{of}: {', '.join(said) or 'none'}."
