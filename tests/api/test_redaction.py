"""What is kept of an alert holds no secret, however it is written, and stays what it was otherwise."""

from __future__ import annotations

import json
import time

import pytest

from justtrades.api.redaction import kept_act, redacted, redacted_text

NAMES = (
    *("secret", "key", "token", "apikey", "api_key", "apiKey", "password", "passphrase", "secretKey", "accessKey"),
    *("access_key", "private_key", "webhook_secret", "userPassword", "tokenId", "auth", "authorization", "pointer"),
    *("license_key", "bot_key", "Secret ", "email_token", "PASSWORD", "client.secret"),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_telling_name_hides_its_value_and_nothing_else(name: str) -> None:
    alert = {"action": "buy", name: 'CANARY "quoted", and more', "price": 5}
    assert json.loads(redacted(json.dumps(alert).encode(), None)) == {**alert, name: "[removed]"}


@pytest.mark.parametrize(
    "text",
    [
        '{"action":"close","secret":["CANARY","CANARY, too"],"price":5}',
        '{"action":"close","password":{"value": "CANARY", "x": "CANARY"}}',
        '{"action":"close","\\u0070assword":"CANARY"}',
        "{'password': 'CANARY', 'action': 'close'}",
        '{"action":"close","password":"CANARY-brok"en"}',
        "passphrase: CANARY\nCLOSE MNQ1!",
        "CANARY\r\nclose MNQ1!",
        "CANARY\naction=close symbol=MNQ1!",
        "Authorization: Bearer CANARY close",
        "key=CANARY;command=CLOSEPOSITION;instrument=MNQ1!",
    ],
)
def test_a_secret_is_taken_out_of_a_text_in_any_form(text: str) -> None:
    assert b"CANARY" not in redacted(text.encode(), None)


@pytest.mark.parametrize(
    "text",
    [
        '{"action": "buy", "monkey": "one", "key_level": 24500, "keyboard": 1, "passive": true}',
        "BUY 1 MNQ1!",
        "MNQ1! alert\nBUY 1 MNQ1!",
        "BUY\r\n1\r\nMNQ1!",
        "command=PLACE;\ninstrument=MNQ1!;\naction=BUY;",
    ],
)
def test_what_is_no_secret_is_kept_as_it_came(text: str) -> None:
    assert redacted(text.encode(), None) == text.encode()


def test_a_recorders_own_secret_is_found_also_as_json_escapes_it() -> None:
    secret = 'grün"s'
    for text in (
        json.dumps({"note": f"x {secret}"}),
        json.dumps({"note": secret}, ensure_ascii=False),
        f"note {secret}",
    ):
        assert redacted_text(text, secret).count("[removed]") == 1


def test_a_secret_under_a_misspelt_name_of_a_recorder_is_not_in_the_audit() -> None:
    sent = {"name": "mine", "secrett": "CANARY", "stop": {"distance": "4", "unit": "ticks", "note": "CANARY"}}
    kept = json.loads(kept_act(json.dumps(sent).encode(), "/api/v1/recorders"))
    assert kept == {
        "name": "mine",
        "secrett": "[removed]",
        "stop": {"distance": "4", "unit": "ticks", "note": "[removed]"},
    }


@pytest.mark.parametrize("text", ["a." * 32_000, "a-" * 32_000, '"' * 64_000, "key " * 16_000, "'key'" + " " * 64_000])
def test_no_text_of_the_largest_size_takes_long_to_redact(text: str) -> None:
    began = time.process_time()
    redacted(f"key {text}".encode(), "s")
    assert time.process_time() - began < 1
