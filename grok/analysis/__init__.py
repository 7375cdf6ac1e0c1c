"""Scores of what a network has learned: pure functions on arrays, each beside its null model."""
