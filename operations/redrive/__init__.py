"""Records that a consumer could not store, delivered again."""
