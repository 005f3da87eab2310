"""The replica held against its source, and made equal to it."""
