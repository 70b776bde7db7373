"""Use of a run: its directory, weights, devices, and the conditions that a user writes."""
