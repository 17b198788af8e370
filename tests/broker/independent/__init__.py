"""A client written by somebody else."""
