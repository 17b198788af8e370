"""How a command ends when it does not end well: one line on stderr and a code."""

from __future__ import annotations


class Failed(Exception):
    """Refused or failed; the text is one line for people. Exit code 1."""


class Misused(Exception):
    """An argument that makes no sense, told in one line. Exit code 2."""
