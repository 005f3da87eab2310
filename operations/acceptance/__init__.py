"""The acceptance run: what only a real account can settle, tried there with a canary item."""
