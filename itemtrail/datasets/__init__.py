"""The commands for datasets, and what they need an extra for."""
