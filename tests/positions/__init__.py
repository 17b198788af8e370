"""Claims about the pure core."""
