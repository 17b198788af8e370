"""JSON as the broker writes it, and what of its texts can be kept."""

from __future__ import annotations

from typing import Any

import pytest

from justtrades.broker.tradovate import exact


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'["cut \ud83d"]', ["cut \ufffd"]),
        (r'{"text": {"n\u0000": "\uDE00 off"}}', {"text": {"n\ufffd": "\ufffd off"}}),
        (r'["whole \ud83d\ude00", "\\ud83d", 1]', ["whole \N{GRINNING FACE}", r"\ud83d", 1]),
        (r'"d\u00e9j\u00e0"', "d\xe9j\xe0"),
    ],
)
def test_a_text_keeps_all_that_a_database_takes(text: str, value: Any) -> None:
    assert exact.loads(text) == value
