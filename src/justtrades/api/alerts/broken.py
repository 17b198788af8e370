"""Why a text is not JSON, in a sentence that says what to change in TradingView.

TradingView puts values into the message as they are. A quote in `{{strategy.order.comment}}` then ends the text
that it stands in, a value that is missing leaves nothing behind its colon, and the whole arrives as text/plain.
Nothing of the alert is repeated.
"""

from __future__ import annotations

from typing import Final

QUOTE: Final = (
    "a quote stands inside a quoted text; if that text is {{strategy.order.comment}} or "
    "{{strategy.order.alert_message}}, take the quotes out of it in the script, or leave that field out"
)
LINE_BREAK: Final = (
    "a line break stands inside a quoted text; if that text is a comment or alert message, write it in one line"
)
EMPTY: Final = "a value is missing: a placeholder came out empty; put quotes around it"
BARE: Final = "a value that is no number stands without quotes: put quotes around its placeholder"
CURLY: Final = "a quote is not a plain double quote: type the quotes anew, without a word processor"
TRAILING: Final = "a comma stands before the closing brace: take it out"
NAME: Final = "the name of a field stands without quotes"
BACKSLASH: Final = "a backslash stands inside a quoted text: take it out"
UNENDED: Final = "a quoted text or the closing brace is missing at the end"
EXTRA: Final = "something stands after the closing brace"
COMMA: Final = "look for a missing quote or comma"

_CURLY: Final = "\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb'"


def why(text: str, message: str, at: int) -> str:
    """What is wrong at position `at`, where the JSON reader stopped with `message`."""
    here = text[at : at + 1]
    before = text[:at].rstrip()[-1:]
    if message.startswith("Invalid control character"):
        return LINE_BREAK
    if message.startswith("Invalid \\"):
        return BACKSLASH
    if message.startswith("Extra data"):
        return EXTRA
    if here == "" or message.startswith("Unterminated"):
        return UNENDED
    if here in _CURLY:
        return CURLY
    if message.startswith("Expecting value"):
        return EMPTY if here in ",}]" else BARE
    if before == '"' and here not in ',:}]"':
        return QUOTE
    if message.startswith("Expecting property name") or message.startswith("Illegal trailing"):
        return TRAILING if here in "}," else NAME
    return COMMA
