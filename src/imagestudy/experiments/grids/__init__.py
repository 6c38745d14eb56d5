"""The runs that each part of a study needs. Notebooks and the command line use the same declarations.

Nothing here trains or loads a run. The runs of a cell differ only in their seed. All cells share the seeds 0 … runs − 1, so every
comparison is paired.
"""

from imagestudy.experiments.grids.accuracy import (
    LONGER,
    RATES,
    accuracy,
    all_members,
    costs,
    longer,
    model_costs,
    recipes,
    trains_once,
)
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
