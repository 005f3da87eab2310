"""What answers a question to a dataset: DuckDB, Spark, Athena."""
