"""Every row of the table "what was seen and what it means"."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from justtrades.broker.port import Refused, Sent, Unreachable
from justtrades.broker.tradovate import answers
from justtrades.broker.tradovate.answers import Denied, Heard, No, Payload, Slowed, Ticket, Unclear

Reading = Callable[[object], Sent]
AMBIGUOUS = (
    "RiskCheckTimeout",
    "UnknownReason",
    "OtherExecutionRelated",
    "ExecutionProviderUnavailable",
    "AnotherCommandPending",
    "AReasonNobodyKnowsYet",
)


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (200, '{"orderId": 1}', Payload({"orderId": 1})),
        (200, "{}", Payload({})),
        (200, "[]", Payload([])),
        (401, '"Access is denied"', Denied("Access is denied")),
        (401, "", Denied("Access is denied")),
        (423, "", Slowed(423)),
        (429, "", Slowed(429)),
        (400, "malformed", No(400, "malformed")),
        (403, "", No(403, "")),
        (404, "", No(404, "")),
        (422, "", No(422, "")),
        (408, "", Unclear(408, "")),
        (500, "boom", Unclear(500, "boom")),
        (502, "<html><body>Bad Gateway</body></html>", Unclear(502, "an HTML page")),
        (302, "", Unclear(302, "")),
        (200, "<html></html>", Unclear(200, "unreadable body")),
        (200, "", Unclear(200, "unreadable body")),
        (200, '{"orderId": 60168', Unclear(200, "unreadable body")),
        (200, '{"price": NaN}', Unclear(200, "unreadable body")),
        (200, "[" * 100_000, Unclear(200, "unreadable body")),
        (200, '{"p-ticket": "T", "p-time": 19, "p-captcha": true}', Ticket("T", 19.0, True)),
        (200, '{"p-ticket": "T", "p-time": 1, "p-message": "slow"}', Ticket("T", 1.0, False, "slow")),
        (200, '{"p-ticket": "T"}', Ticket("T", 1.0, False)),
        (200, '{"p-captcha": true}', Ticket("", 1.0, True)),
    ],
)
def test_a_response_is_sorted_by_status_and_shape(status: int, text: str, expected: Heard) -> None:
    assert answers.heard(status, text) == expected


@pytest.mark.parametrize(
    ("read", "body", "ids"),
    [
        (answers.placed, {"orderId": 601683390102}, ("601683390102",)),
        (answers.placed, {"orderId": 7, "failureReason": "Success"}, ("7",)),
        (answers.paired, {"orderId": 663695020301, "ocoId": 663695020302}, ("663695020301", "663695020302")),
        (answers.commanded, {"commandId": 62539}, ()),
        (answers.liquidated, {"orderId": 9}, ("9",)),
        (answers.liquidated, {"failureReason": "Success"}, ()),
        (answers.liquidated, {"ok": True}, ()),
    ],
)
def test_a_yes_is_a_yes(read: Reading, body: object, ids: tuple[str, ...]) -> None:
    assert read(body) == Sent(ids)  # type: ignore[arg-type]  # plain strings stand for ids here


@pytest.mark.parametrize("reason", sorted(answers.DEFINITE))
def test_a_definite_reason_is_a_refusal(reason: str) -> None:
    with pytest.raises(Refused) as refused:
        answers.placed({"failureReason": reason, "failureText": "because"})
    assert (refused.value.reason, refused.value.text) == (reason, "because")


@pytest.mark.parametrize("reason", AMBIGUOUS)
@pytest.mark.parametrize(
    "read", [answers.placed, answers.paired, answers.commanded, answers.liquidated], ids=lambda f: f.__name__
)
def test_any_other_reason_leaves_doubt_and_keeps_its_name(read: Reading, reason: str) -> None:
    with pytest.raises(Unreachable) as unclear:
        read({"failureReason": reason, "failureText": "Access is denied"})
    assert unclear.value.named
    assert (unclear.value.reason, unclear.value.text) == (reason, "Access is denied")


@pytest.mark.parametrize(
    "body",
    [{"failureReason": "TooLate"}, {"failureReason": "UnknownReason", "failureText": "Too late"}],
    ids=["reason", "text"],
)
def test_too_late_is_a_refusal_of_a_cancel_or_modify_in_either_form(body: object) -> None:
    with pytest.raises(Refused) as refused:
        answers.commanded(body)
    assert refused.value.reason == "TooLate"


@pytest.mark.parametrize(
    "body",
    [{}, [], None, "ok", {"something": 1}, {"orderId": 0}, {"orderId": "7"}, {"orderId": True}, {"commandId": 1}],
    ids=json.dumps,
)
def test_an_answer_that_says_nothing_known_leaves_doubt(body: object) -> None:
    for read in (answers.placed, answers.paired, answers.liquidated):
        with pytest.raises(Unreachable) as unclear:
            read(body)
        assert not unclear.value.named


def test_half_a_pair_leaves_doubt() -> None:
    with pytest.raises(Unreachable):
        answers.paired({"orderId": 7})


def test_an_order_id_beside_a_failure_leaves_doubt() -> None:
    with pytest.raises(Unreachable):
        answers.placed({"orderId": 7, "failureReason": "SessionClosed"})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"errorText": "Operation failed", "ok": False}, "Operation failed"),
        ({"ok": False}, "not ok"),
        (
            {"violations": [{"constraint": "price", "value": "", "description": "Price should be specified"}]},
            "Price should be specified",
        ),
    ],
)
def test_an_error_text_or_violations_are_a_refusal(body: object, text: str) -> None:
    with pytest.raises(Refused) as refused:
        answers.placed(body)
    assert refused.value.text == text


# ── at the edges ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "expected"),
    [(201, Payload({})), (299, Payload({})), (300, Unclear(300, "{}")), (199, Unclear(199, "{}"))],
)
def test_only_a_status_of_the_two_hundreds_is_a_yes(status: int, expected: Heard) -> None:
    assert answers.heard(status, "{}") == expected


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("0", 0.0), ("86400", 86_400.0), ("86401", 1.0), ("-1", 1.0), ("true", 1.0), ('"19"', 1.0), ("2.5", 2.5)],
)
def test_a_waiting_time_that_is_odd_counts_as_one_second(said: str, seconds: float) -> None:
    assert answers.heard(200, f'{{"p-ticket": 7, "p-time": {said}}}') == Ticket("7", seconds, False)


def test_only_a_captcha_that_is_true_is_one() -> None:
    assert answers.heard(200, '{"p-captcha": false}') == Payload({"p-captcha": False})
    assert answers.heard(200, '{"p-captcha": "true", "p-ticket": "T"}') == Ticket("T", 1.0, False)


def test_what_a_body_says_is_one_line_of_at_most_three_hundred_characters() -> None:
    assert answers.said(' "a\n  b" ') == "a b"
    assert answers.said("x" * 301) == "x" * 300
    assert answers.said("  <p>") == "an HTML page"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("no object", None),
        ({"errorText": "", "ok": True}, None),
        ({"errorText": "e" * 301}, "e" * 300),
        ({"errorText": 5}, "5"),
        ({"violations": []}, None),
        ({"violations": {"description": "alone"}}, "alone"),
        ({"violations": [{"constraint": "price"}, {"description": "d", "constraint": "c"}, 7]}, "price; d"),
        ({"violations": [7]}, "violations"),
        ({"violations": [{"description": "v" * 301}]}, "v" * 300),
    ],
)
def test_a_complaint_is_said_in_the_brokers_words(body: object, text: str | None) -> None:
    assert answers.complaint(body) == text


@pytest.mark.parametrize(
    ("body", "reason", "text"),
    [
        ({"violations": [{"description": "no"}]}, "Violations", "no"),
        ({"errorText": "no"}, "Error", "no"),
        ({"ok": False}, "Error", "not ok"),
        ({"failureReason": "TooLate", "failureText": "t" * 301}, "TooLate", "t" * 300),
        ({"failureReason": "TooLate"}, "TooLate", ""),
    ],
)
def test_a_refusal_has_a_reason_and_the_brokers_words(body: object, reason: str, text: str) -> None:
    with pytest.raises(Refused) as refused:
        answers.placed(body)
    assert (refused.value.reason, refused.value.text) == (reason, text)


@pytest.mark.parametrize(
    ("read", "body", "text"),
    [
        (answers.placed, [], "a body that is no object"),
        (answers.placed, {"orderId": -7}, "an answer without orderId"),
        (answers.paired, {"orderId": 7}, "an answer without ocoId"),
        (answers.paired, {"ocoId": 7}, "an answer without orderId"),
        (answers.commanded, {}, "an answer without commandId"),
        (answers.liquidated, {"ok": True, "orderId": 0}, "an answer without orderId"),
        (answers.liquidated, {"ok": "yes"}, "an answer without orderId"),
    ],
)
def test_an_answer_nobody_understands_says_what_it_lacks(read: Reading, body: object, text: str) -> None:
    with pytest.raises(Unreachable) as unclear:
        read(body)
    assert (unclear.value.reason, unclear.value.text) == ("UnknownAnswer", text)


@pytest.mark.parametrize("made", ["orderId", "commandId"])
def test_a_definite_reason_beside_something_made_leaves_doubt(made: str) -> None:
    with pytest.raises(Unreachable) as unclear:
        answers.placed({made: 7, "failureReason": "SessionClosed"})
    assert (unclear.value.reason, unclear.value.named) == ("SessionClosed", True)


def test_too_late_is_no_refusal_of_an_order() -> None:
    with pytest.raises(Unreachable):
        answers.placed({"failureReason": "UnknownReason", "failureText": "too late"})
    assert answers.liquidated({"ok": True, "orderId": 9}) == Sent(("9",))  # type: ignore[arg-type]  # a plain id
    assert answers.placed({"orderId": 1, "failureReason": ""}) == Sent(("1",))  # type: ignore[arg-type]  # a plain id
