"""All checkers, in the order of their numbers."""

from __future__ import annotations

from tests.invariants.checker import Checker
from tests.invariants.i01_durable import Durable
from tests.invariants.i02_one_outcome import OneOutcome
from tests.invariants.i03_one_order import OneOrder
from tests.invariants.i04_books import Books
from tests.invariants.i08_fills import FillsCounted

CHECKERS: tuple[type[Checker], ...] = (Durable, OneOutcome, OneOrder, Books, FillsCounted)
