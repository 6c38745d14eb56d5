"""A study → the runs that each part of it needs, declared once for notebooks and command line alike.

Nothing here trains or loads. A cell is everything of a run but its seed; all cells share the seeds 0 … runs − 1, so that every
comparison is paired.
"""

from imagestudy.experiments.grids.accuracy import LONGER, RATES, accuracy, all_members, costs, longer, recipes, trains_once
from imagestudy.experiments.grids.cells import (
    DECIDING,
    LISTING,
    TRADITIONAL,
    Plan,
    cell,
    imbalanced_profiles,
    members,
    model_spec,
    remedies_of,
    remedy_of,
    training_of,
)
from imagestudy.experiments.grids.families import (
    ABLATIONS,
    NOISE,
    OVERFIT_IMAGES,
    OVERFIT_PASSES,
    PROBE_RUNS_BESIDE,
    STEPS,
    ablation,
    inside,
    overfit,
    preprocessing,
    preprocessing_settings,
    probe,
    probe_cell,
    probe_dataset,
)
from imagestudy.experiments.grids.frameworks import TWIN_REMEDIES, TWINS, frameworks, twin_cell, twin_costs, twins
from imagestudy.experiments.grids.imbalance import (
    RESTARTED,
    as_many_balanced,
    at_scale,
    baselines,
    curve_profiles,
    curve_remedies,
    curves,
    diagnostics,
    imbalance,
    loss_to_imbalance,
    plain,
    scale_profiles,
    spread,
    ungrouped,
    without_groups,
)
from imagestudy.experiments.grids.plan import open_study
