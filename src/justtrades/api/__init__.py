"""The HTTP edge: alerts come in, people and scripts look and act."""
