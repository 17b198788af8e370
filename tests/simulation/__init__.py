"""Claims about the whole engine under a virtual clock and seeded faults."""
