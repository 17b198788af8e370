"""Claims about the HTTP edge."""
