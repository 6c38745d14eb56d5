"""Remedies for class imbalance. Importing this package registers all of them."""

from imagestudy.remedies import registry
from imagestudy.remedies.base import COSINE_SCALE, TRIALS, Remedy, Trial, classical_remedies, remedies, remedy, require_classical
