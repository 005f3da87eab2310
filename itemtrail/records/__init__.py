"""Answers as records, the contract of docs/json.md."""
