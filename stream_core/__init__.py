"""The shared core of both stream consumers: read records, keep types, classify failures."""
