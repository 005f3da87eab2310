"""The files of a dataset: manifest, schema, coverage."""
