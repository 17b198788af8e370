"""Claims about what is durable."""
