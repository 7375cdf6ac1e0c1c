"""From a results folder to tables of scores."""
