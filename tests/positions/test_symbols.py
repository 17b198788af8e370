"""Every usual spelling of a contract is read, and everything else is refused without an echo."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from justtrades.positions.contracts import (
    ROOTS,
    Continuous,
    Dated,
    Root,
    Symbol,
    UnknownSymbol,
    parse_symbol,
)

TODAY = date(2026, 11, 23)
ALL_ROOTS = tuple(ROOTS.values())

SENTENCES = {
    "the symbol is not a futures contract known here",
    "the symbol is not of a futures product known here",
    "the symbol names an exchange that is none of CME Group's",
    "the symbol's month is none of the twelve",
    "the symbol's year is too far from today to name a contract",
    "the product has no contract in the symbol's month",
}

every_root = pytest.mark.parametrize("root", ALL_ROOTS, ids=str)
contracts = st.sampled_from(ALL_ROOTS).flatmap(
    lambda root: st.builds(Dated, st.just(root), st.sampled_from(root.listed_months), st.integers(2025, 2034))
)


def mnq(month: str, year: int) -> Dated:
    return Dated(ROOTS["MNQ"], month, year)


def refusal_of(text: str) -> UnknownSymbol | None:
    try:
        parse_symbol(text, TODAY)
    except UnknownSymbol as refusal:
        return refusal
    return None


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("MNQ1!", Continuous(ROOTS["MNQ"], 1)),
        ("MNQ2!", Continuous(ROOTS["MNQ"], 2)),
        ("CME_MINI:MNQ1!", Continuous(ROOTS["MNQ"], 1)),
        ("CME_MINI_DL:MNQ1!", Continuous(ROOTS["MNQ"], 1)),
        ("  cme_mini:mnq1! ", Continuous(ROOTS["MNQ"], 1)),
        ("MNQ", Continuous(ROOTS["MNQ"], 1)),
        ("COMEX:1OZ1!", Continuous(ROOTS["1OZ"], 1)),
        ("E71!", Continuous(ROOTS["E7"], 1)),
        ("E7", Continuous(ROOTS["E7"], 1)),
        ("6M", Continuous(ROOTS["6M"], 1)),
        ("M2K1!", Continuous(ROOTS["M2K"], 1)),
        ("MNQZ2026", mnq("Z", 2026)),
        ("CME_MINI:MNQZ2026", mnq("Z", 2026)),
        ("MNQZ26", mnq("Z", 2026)),
        ("mnqz6", mnq("Z", 2026)),
        ("MNQ 12-26", mnq("Z", 2026)),
        ("MNQ 12-2026", mnq("Z", 2026)),
        ("MNQ DEC26", mnq("Z", 2026)),
        ("ES 03-27", Dated(ROOTS["ES"], "H", 2027)),
        ("6EZ6", Dated(ROOTS["6E"], "Z", 2026)),
        ("6MM7", Dated(ROOTS["6M"], "M", 2027)),
        ("M6EZ6", Dated(ROOTS["M6E"], "Z", 2026)),
        ("M2KZ6", Dated(ROOTS["M2K"], "Z", 2026)),
        ("1OZZ6", Dated(ROOTS["1OZ"], "Z", 2026)),
        ("E7Z26", Dated(ROOTS["E7"], "Z", 2026)),
        ("SIN2027", Dated(ROOTS["SI"], "N", 2027)),
    ],
)
def test_every_usual_spelling_is_understood(text: str, meaning: Symbol) -> None:
    assert parse_symbol(text, TODAY) == meaning


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "AAPL",
        "BTCUSDT",
        "NYSE:ES",
        "NASDAQ:NQ",
        "BINANCE:ETH",
        "_DL:MNQ1!",
        ":MNQ1!",
        "MNQ0!",
        "MNQ!",
        "MNQ11!",
        "MNQZ",
        "MNQZ026",
        "MNQA6",
        "MNQF6",
        "@MNQ",
        "MNQ 13-26",
        "MNQ 00-26",
        "MNQZ1926",
        "MNQZ2016",
        "MNQZ2036",
        "M2K6",
        "ıSI1!",
        "MNQ１!",
        "MNQ1!\x00",
        "MNQ1!" * 20,
    ],
)
def test_what_is_no_contract_is_refused(text: str) -> None:
    with pytest.raises(UnknownSymbol):
        parse_symbol(text, TODAY)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_and_never_echoed(text: str) -> None:
    refusal = refusal_of(text)
    assert refusal is None or re.fullmatch(r"[A-Z0-9!:_. -]{0,12}", refusal.shown)
    assert refusal is None or str(refusal) in SENTENCES


def test_a_refusal_shows_a_short_safe_form_to_a_person_only() -> None:
    with pytest.raises(UnknownSymbol) as refused:
        parse_symbol("<script>nasty\n" + "x" * 500, TODAY)
    assert refused.value.shown == "SCRIPTNASTYX"
    assert "SCRIPT" not in str(refused.value).upper()


@given(contracts)
def test_every_contract_is_read_back_from_all_its_names(contract: Dated) -> None:
    root, month, year = contract.root, contract.month, contract.year
    spellings = (
        str(contract),
        f"{root}{month}{year % 100:02d}",
        contract.tradovate,
        f"{root} {contract.month_number:02d}-{year % 100:02d}",
        f"{root.exchange}_DL:{contract}".lower(),
    )
    assert {parse_symbol(text, TODAY) for text in spellings} == {contract}


@every_root
def test_every_continuous_symbol_is_read_back(root: Root) -> None:
    assert parse_symbol(str(root), TODAY) == Continuous(root, 1)
    assert [parse_symbol(str(Continuous(root, nth)), TODAY) for nth in (1, 2)] == [
        Continuous(root, 1),
        Continuous(root, 2),
    ]


@pytest.mark.parametrize(("digit", "year"), [(5, 2025), (6, 2026), (7, 2027), (0, 2030), (4, 2034)])
def test_one_digit_means_the_first_such_year_from_last_year_on(digit: int, year: int) -> None:
    assert parse_symbol(f"MNQZ{digit}", TODAY) == mnq("Z", year)


def test_the_broker_is_told_one_digit_of_the_year() -> None:
    assert mnq("Z", 2026).tradovate == "MNQZ6"
    assert Dated(ROOTS["6E"], "H", 2030).tradovate == "6EH0"


@pytest.mark.parametrize("month", ["F", "A", "", "HM"])
def test_a_contract_in_a_month_that_is_not_listed_cannot_be_said(month: str) -> None:
    with pytest.raises(ValueError, match="no contract of that month"):
        mnq(month, 2026)
