"""A process that only imports what the engine imports of others, and stays.

    python -m bench.imports FILE

FILE names one module a line, as `-X importtime` told of a real engine that got ready.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from pathlib import Path


def main() -> None:
    for name in Path(sys.argv[1]).read_text(encoding="utf-8").split():
        # A module that only its own package may import was imported with it.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    print("ready http://127.0.0.1:0", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
