"""The Transformer and its layers."""
