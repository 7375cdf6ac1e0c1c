"""A laboratory for grokking: train, sweep, draw and score small Transformers on binary-operation tables."""
