"""What imbalance costs and what its remedies give back: records → the tables and sentences about class imbalance.

Every gain is paired with plain training (the remedy `none`) of the same model under the same profile. The remedies of one model
under one profile are declared together. What is chosen is chosen on validation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64

from imagestudy import calibration, compare, data, grids, metrics, runs
from imagestudy.compare import Effect, Judged
from imagestudy.data import sources, splits
from imagestudy.errors import InputError, require_known
from imagestudy.figures.style import FAMILY_TITLES
from imagestudy.grids import DECIDING, TRADITIONAL, Plan
from imagestudy.models import models
from imagestudy.records import Records
from imagestudy.remedies import remedies, remedy
from imagestudy.runs.lineage import parents
from imagestudy.specs import Choice, ProfileSpec, RunSpec
