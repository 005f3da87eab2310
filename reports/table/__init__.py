"""The states of all items of a table."""
