"""Questions to a dataset, as SQL of any engine."""
