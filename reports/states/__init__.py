"""What the rows of one item say of its states."""
