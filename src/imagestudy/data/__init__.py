"""Load datasets and prepare their images for training."""

from imagestudy.data.catalog import document_datasets, list_datasets
from imagestudy.data.prepared import (
    Part,
    Prepared,
    allows_pictures,
    check,
    class_count,
    has_groups,
    held_out_labels,
    image_count,
    image_shape,
    is_redrawn,
    prepare,
    profile_size,
    stamp,
    test_part,
    title,
)
