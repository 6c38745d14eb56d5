"""Remedies for class imbalance."""

from imagestudy.remedies.base import COSINE_SCALE, TRIALS, Remedy, Trial, classical_remedies, remedies, remedy, require_classical
