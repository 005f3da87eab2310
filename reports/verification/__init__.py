"""Whether a history is intact and complete."""
