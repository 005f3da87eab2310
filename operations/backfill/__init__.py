"""Baselines of what a table held before its history began."""
