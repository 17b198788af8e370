"""Brokers: the port, the Tradovate adapter behind it, and a simulator that speaks as Tradovate does."""
