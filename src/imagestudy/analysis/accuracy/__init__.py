"""Which model is most accurate on balanced training data, how sure, and at what cost."""
