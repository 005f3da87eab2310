"""Exports of a history become a dataset."""
