"""From an experiment to a results folder: one compiled program trains many runs at once."""
