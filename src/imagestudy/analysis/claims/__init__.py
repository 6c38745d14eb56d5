"""The claims of the article, each decided by the recorded runs."""

from imagestudy.analysis.claims.findings import (
    CLAIMS,
    Finding,
    as_verdict,
    cnn_leads,
    decide,
    gap_grows_with_size,
    grid,
    learned_features,
    listings,
    long_range,
    modern_is_more_accurate,
    modern_loses_less,
    preprocessing_pays,
    slope_of,
    table,
)
