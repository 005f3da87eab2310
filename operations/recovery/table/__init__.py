"""A whole table, or a part of it, made anew as it was at an instant."""
