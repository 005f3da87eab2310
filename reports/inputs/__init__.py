"""Keys, times and paths as people write them."""
