"""A person hears of a trade: from the alert to a message at a real HTTP server, through the whole engine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.e2e.stage import Json, stage, until


@pytest.fixture
def hook() -> Iterator[tuple[str, list[Json]]]:
    """A place to tell, and what it was told."""
    told: list[Json] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"json://127.0.0.1:{server.server_address[1]}", told
    server.shutdown()
    server.server_close()


async def test_a_fill_and_the_kill_switch_are_told(tmp_path: Path, hook: tuple[str, list[Json]]) -> None:
    url, told = hook
    async with stage(tmp_path) as play:
        made = await play.http.post("/api/v1/notifications", json={"name": "hook", "url": url})
        assert made.status_code == 201, made.text
        recorder = await play.recorder()
        assert (await recorder.trade("buy"))["outcome"] == "filled"
        await play.http.put("/api/v1/kill", json={"on": True, "reason": "lunch"})

        async def both() -> bool:
            titles = " | ".join(one["title"] for one in told)
            return "filled" in titles and "kill switch on" in titles

        await until(both, "both messages", 40)
        listed = (await play.items("notifications"))[0]
        assert listed["last_sent_at"] is not None
        assert listed["last_error"] is None


def test_the_engine_never_imports_the_library_that_sends() -> None:
    """Tens of megabytes that nobody needs while nothing is sent: only the courier's child does."""
    code = "import sys, justtrades.app; sys.exit('apprise' in sys.modules or 'requests' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
