"""Decide each claim of the article from the recorded runs."""

from imagestudy.analysis.claims.findings import (
    CLAIMS,
    Finding,
    Verdict,
    as_verdict,
    cnn_leads,
    decide,
    gap_grows_with_size,
    learned_features,
    listings,
    long_range,
    modern_is_more_accurate,
    modern_loses_less,
    needs,
    preprocessing_pays,
    slope_of,
    table,
)
