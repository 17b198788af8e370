"""What must always hold, one checker each, over facts that a simulation or a crash test gathers."""
