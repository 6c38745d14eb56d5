"""Analyze class imbalance: what plain training loses to it, what each remedy gains, and which remedy to choose.

Plain training is the remedy `none`. Every gain is a paired comparison with plain training of the same model under the same
profile. The remedies tried under one profile are corrected together for multiple comparisons. All choices are made on validation
images.
"""

from imagestudy.analysis.imbalance.best_remedy import Best, best, say_best
from imagestudy.analysis.imbalance.calibration import (
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
from imagestudy.analysis.imbalance.costs import axis_start, changes, costs, say_cheapest, taus, trainings, tuned
from imagestudy.analysis.imbalance.gains import gains, losses, say_verdicts
from imagestudy.analysis.imbalance.groups import group_effect, judge_groups, recall_by_count, say_groups, say_rarity
from imagestudy.analysis.imbalance.prior_shift import Deployment, deployments_of, make_deployment
from imagestudy.analysis.imbalance.prior_shift_results import (
    chosen_taus,
    closest_remedy,
    deploy,
    deployed_gains,
    deployment_needs,
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
from imagestudy.analysis.imbalance.ranking import curves, mark_best, one_for_all, rank, say_near, say_one_for_all
from imagestudy.analysis.imbalance.selection import Shown, check_remedy, counts, model_of, needs, profiles_of, remedy_of
