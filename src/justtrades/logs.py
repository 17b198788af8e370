"""Logging for people on a console or for machines as JSON lines."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from justtrades.settings import Settings


def set_up_logging(settings: Settings) -> None:
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(message)s" if settings.log_format == "json" else "%(asctime)s %(levelname)-7s %(message)s",
        datefmt="%H:%M:%S",
        force=True,
    )
    if settings.log_format == "json":
        logging.getLogger().handlers[0].setFormatter(JsonLines())
    for noisy in ("httpx", "httpcore", "aiosqlite", "websockets", "alembic", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        import json

        at = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        line = {"at": at, "level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)
