"""An item, a table or a set of changes taken back to an earlier state."""
