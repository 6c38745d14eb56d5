"""What imbalance costs and what its remedies give back: records → the tables and sentences about class imbalance.

Every gain is paired with plain training (the remedy `none`) of the same model under the same profile; the remedies tried under one
profile are declared together. What is chosen is chosen on validation.
"""

from imagestudy.imbalance.best import Best, best, say_best
from imagestudy.imbalance.calibration import (
    STAGES,
    by_group,
    calibrate,
    calibration,
    calibration_costs,
    reliability,
    say_costs,
    say_reliability,
    spread_scores,
)
from imagestudy.imbalance.costs import axis_start, changes, costs, say_cheapest, taus, trainings, tuned
from imagestudy.imbalance.deployed import (
    chosen_taus,
    closest_remedy,
    deploy,
    deployed_gains,
    grid_of_model,
    left_over,
    mean_costs,
    repriored_plain,
    say_left,
    say_repriored,
    say_taus,
    say_winners,
    standings,
    winners,
)
from imagestudy.imbalance.deployment import Deployment, deployments_of, make_deployment
from imagestudy.imbalance.gains import gains, losses, say_verdicts
from imagestudy.imbalance.groups import group_effect, judge_groups, recall_by_count, say_groups, say_rarity
from imagestudy.imbalance.ranking import curves, mark_best, one_for_all, rank, say_near, say_one_for_all
from imagestudy.imbalance.shown import Shown, check_remedy, counts, grid, model_of, profiles_of, remedy_of

__all__ = [
    "STAGES",
    "Best",
    "Deployment",
    "Shown",
    "axis_start",
    "best",
    "by_group",
    "calibrate",
    "calibration",
    "calibration_costs",
    "changes",
    "check_remedy",
    "chosen_taus",
    "closest_remedy",
    "costs",
    "counts",
    "curves",
    "deploy",
    "deployed_gains",
    "deployments_of",
    "gains",
    "grid",
    "grid_of_model",
    "group_effect",
    "judge_groups",
    "left_over",
    "losses",
    "make_deployment",
    "mark_best",
    "mean_costs",
    "model_of",
    "one_for_all",
    "profiles_of",
    "rank",
    "recall_by_count",
    "reliability",
    "remedy_of",
    "repriored_plain",
    "say_best",
    "say_cheapest",
    "say_costs",
    "say_groups",
    "say_left",
    "say_near",
    "say_one_for_all",
    "say_rarity",
    "say_reliability",
    "say_repriored",
    "say_taus",
    "say_verdicts",
    "say_winners",
    "spread_scores",
    "standings",
    "taus",
    "trainings",
    "tuned",
    "winners",
]
