"""The gate: format, lint, build and test a branch; a verdict without a model."""
