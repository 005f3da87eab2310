"""How an answer is written: as a table, JSON, CSV or Parquet."""
