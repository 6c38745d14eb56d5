"""What imbalance costs and what its remedies give back: records → the tables and sentences about class imbalance.

Every gain is paired with plain training (the remedy `none`) of the same model under the same profile; the remedies tried under one
profile are declared together. What is chosen is chosen on validation.
"""

from imagestudy.imbalance.best import Best, best, say_best
from imagestudy.imbalance.calibration import calibration
from imagestudy.imbalance.costs import costs, taus, trainings, tuned
from imagestudy.imbalance.gains import gains, losses, say_verdicts, spread_out
from imagestudy.imbalance.groups import group_effect, judge_groups, recall_by_count, say_groups, say_rarity
from imagestudy.imbalance.shown import Shown, check_remedy, counts, grid, model_of, profiles_of, remedy_of

__all__ = [
    "Best",
    "Shown",
    "best",
    "calibration",
    "check_remedy",
    "costs",
    "counts",
    "gains",
    "grid",
    "group_effect",
    "judge_groups",
    "losses",
    "model_of",
    "profiles_of",
    "recall_by_count",
    "remedy_of",
    "say_best",
    "say_groups",
    "say_rarity",
    "say_verdicts",
    "spread_out",
    "taus",
    "trainings",
    "tuned",
]
