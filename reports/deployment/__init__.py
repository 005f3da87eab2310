"""What is deployed, how it does, and what to do about it."""
