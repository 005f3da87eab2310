"""Reading tables, exports and buckets, and what is asked of the machine."""
