"""All checkers, in the order of their numbers."""

from __future__ import annotations

from tests.invariants.checker import Checker
from tests.invariants.followed import Followed
from tests.invariants.i01_durable import Durable
from tests.invariants.i02_one_outcome import OneOutcome
from tests.invariants.i03_one_order import OneOrder
from tests.invariants.i04_books import Books
from tests.invariants.i05_protected import Protected
from tests.invariants.i06_flat import Flat
from tests.invariants.i07_no_flip import NoFlip
from tests.invariants.i08_fills import FillsCounted
from tests.invariants.i09_again import Again
from tests.invariants.i10_in_order import InOrder
from tests.invariants.i11_never_guessed import NeverGuessed
from tests.invariants.i12_gate import Gate
from tests.invariants.i13_kill import Killed
from tests.invariants.i14_age import Age
from tests.invariants.i15_budget import WithinBudget
from tests.invariants.i16_audit import Audited
from tests.invariants.i17_secrets import NoSecrets
from tests.invariants.i18_routes import Routed
from tests.invariants.i19_answers import QuickAnswers
from tests.invariants.i20_doubt import DoubtShown
from tests.invariants.i21_foreign import LeftAlone
from tests.invariants.i22_limits import Limits
from tests.invariants.self_audit import SelfAudit

CHECKERS: tuple[type[Checker], ...] = (
    Durable,
    OneOutcome,
    OneOrder,
    Books,
    Protected,
    Flat,
    NoFlip,
    FillsCounted,
    Again,
    InOrder,
    NeverGuessed,
    Gate,
    Killed,
    Age,
    WithinBudget,
    Audited,
    NoSecrets,
    Routed,
    QuickAnswers,
    DoubtShown,
    LeftAlone,
    Limits,
    Followed,
    SelfAudit,
)
