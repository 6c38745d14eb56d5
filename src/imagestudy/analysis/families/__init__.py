"""What a notebook shows of one model: its view, layers and curves, what it gets wrong, and what its parts are worth.

Tables and sentences come from records; a sentence's verb comes from its verdict.
"""

from collections.abc import Sequence

from imagestudy.inspection.choices import NO_PROBE, cells, check, class_names, example, grid, probe_examples
from imagestudy.inspection.comparisons import (
    ablation,
    against_others,
    by_distance,
    modern_finding,
    say_differences,
    say_finding,
    say_level,
    say_parts,
    say_rank,
    say_short,
)
from imagestudy.inspection.learning import learned, say_learned, say_overfit
from imagestudy.inspection.mistakes import Errors, confusion, errors, per_class, say_confusion, say_errors, say_per_class
from imagestudy.inspection.structure import VIEWS, layers, say_sharing, say_size, say_view, sizes

__all__ = [
    "NO_PROBE",
    "VIEWS",
    "Errors",
    "ablation",
    "against_others",
    "bullets",
    "by_distance",
    "cells",
    "check",
    "class_names",
    "confusion",
    "errors",
    "example",
    "grid",
    "layers",
    "learned",
    "modern_finding",
    "per_class",
    "probe_examples",
    "say_confusion",
    "say_differences",
    "say_errors",
    "say_finding",
    "say_learned",
    "say_level",
    "say_overfit",
    "say_parts",
    "say_per_class",
    "say_rank",
    "say_sharing",
    "say_short",
    "say_size",
    "say_view",
    "sizes",
]


def bullets(sentences: Sequence[str]) -> str:
    """Sentences as a Markdown list; empty ones are left out."""
    return "\n".join(f"* {sentence}" for sentence in sentences if sentence)
