"""The door: `justtrades …` and `python -m justtrades …`."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs one command and ends the process with its exit code."""
    from justtrades.cli import run

    sys.exit(run())


if __name__ == "__main__":
    main()
