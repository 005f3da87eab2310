"""Histories larger than one machine's memory: a Parquet dataset, and the questions over it."""
