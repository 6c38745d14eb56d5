"""PyTorch and Keras side by side: which defaults differ, and by how much the same model differs once they are set alike."""

from imagestudy.parity.defaults import defaults
from imagestudy.parity.differences import (
    ALL_STEPS,
    ALLOWED,
    ONE_STEP,
    STEPS,
    Images,
    Labels,
    draw_batch,
    make_pair,
    measure,
)

__all__ = ["ALLOWED", "ALL_STEPS", "ONE_STEP", "STEPS", "Images", "Labels", "defaults", "draw_batch", "make_pair", "measure"]
