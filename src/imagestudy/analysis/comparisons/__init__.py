"""Records → effects, verdicts, tidy tables, and the sentences that state them; every comparison is paired."""

from imagestudy.compare.effects import (
    HEADLINE,
    Effect,
    Redrawn,
    difference,
    level_of,
    log_odds_interval,
    paired,
    shared_difference,
    shared_level,
    weights_of,
)
from imagestudy.compare.judging import Judged, choose_by_validation, judge, near_best
from imagestudy.compare.summaries import OTHER_SCORES, against, as_row, summarize, tidy
from imagestudy.compare.words import VERBS, say, say_n, say_needed, say_points, say_share

__all__ = [
    "HEADLINE",
    "OTHER_SCORES",
    "VERBS",
    "Effect",
    "Judged",
    "Redrawn",
    "against",
    "as_row",
    "choose_by_validation",
    "difference",
    "judge",
    "level_of",
    "log_odds_interval",
    "near_best",
    "paired",
    "say",
    "say_n",
    "say_needed",
    "say_points",
    "say_share",
    "shared_difference",
    "shared_level",
    "summarize",
    "tidy",
    "weights_of",
]
