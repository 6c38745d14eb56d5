"""Compare recorded runs: paired differences, verdicts, tables, and the sentences that state them."""

from imagestudy.analysis.comparisons.decisions import choose_by_validation, judge, near_best
from imagestudy.analysis.comparisons.effects import (
    HEADLINE,
    Effect,
    Redrawn,
    difference,
    difference_at_training_shares,
    level_of,
    log_odds_interval,
    paired,
    shared_difference,
    shared_level,
    weights_of,
)
from imagestudy.analysis.comparisons.sentences import VERBS, say, say_n, say_needed, say_points, say_share
from imagestudy.analysis.comparisons.tables import OTHER_SCORES, against, as_row, summarize, tidy
from imagestudy.stats import Judged
