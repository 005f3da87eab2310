"""Options that commands share, and the tables and keys they mean."""
