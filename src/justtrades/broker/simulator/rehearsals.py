"""What a user can rehearse, each as a question, with the text that arms it (`docs/rehearsals.md` shows them all).

The default endpoint of a call's fault is the next order; a manner or a blow has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ORDERS: Final = "order/place*"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    fault: str
    question: str
    endpoint: str = ""
    """Which call it waits for; empty: it happens at once, or holds from now on."""


REHEARSALS: Final = (
    Rehearsal("drop_socket", "my connection dies now"),
    Rehearsal("silent_socket", "the connection stays up and nothing comes any more"),
    Rehearsal("half_open_socket", "the other end is gone and my side does not notice"),
    Rehearsal("maintenance:60", "the broker goes down for a minute"),
    Rehearsal("expire_tokens", "my token is over before it was renewed"),
    Rehearsal("kick_out", "another program logs in with my name"),
    Rehearsal("lose_request", "my next order never arrives", ORDERS),
    Rehearsal("lose_answer", "my next order arrives and its answer is lost", ORDERS),
    Rehearsal("stall:10", "the answer to my next order takes ten seconds", ORDERS),
    Rehearsal("status:500", "the broker answers 500 after taking my next order", ORDERS),
    Rehearsal("empty", "the broker answers {} to my next order", ORDERS),
    Rehearsal("html:502", "a proxy answers my next order with a web page", ORDERS),
    Rehearsal("failure:NoQuote:No quote available", "my next order is refused", ORDERS),
    Rehearsal("late_reject:MaxPosLimitReached:Too many", "my next order is accepted, then rejected by risk", ORDERS),
    Rehearsal("exchange_cancel", "my next order is accepted, then cancelled by the exchange", ORDERS),
    Rehearsal("penalty:5", "the broker asks me to wait 5 s and come again with a ticket", ORDERS),
    Rehearsal("429", "the broker locks me out (429)", "order/*"),
    Rehearsal("hand_close", "I close the position by hand just before the next order arrives", ORDERS),
    Rehearsal("close_by_hand", "I close the position by hand, and target and stop go on working"),
    Rehearsal("cancel_by_hand", "I cancel target and stop by hand"),
    Rehearsal("liquidate", "the risk desk liquidates my account"),
    Rehearsal("liquidation_only", "my account may only reduce"),
    Rehearsal("lock", "my account is locked"),
    Rehearsal("restore", "my account may trade again"),
    Rehearsal("roll", "the session ends"),
    Rehearsal("visibility_lag:3", "lists show a change three seconds late"),
    Rehearsal("delay_events:3", "events come three seconds late"),
    Rehearsal("lose_events", "heartbeats go on and events do not come"),
    Rehearsal("duplicate_events", "every event comes twice"),
    Rehearsal("shuffle_events", "events come in any order"),
    Rehearsal("events_first", "events come before the answer that caused them"),
    Rehearsal("late_legs:0.3", "bracket legs are told late and without their links"),
    Rehearsal("batch_events", "all events of a change come in one frame"),
    Rehearsal("entity_arrays", "one event carries several entities"),
    Rehearsal("partial_entities", "updates carry only an id and a status"),
    Rehearsal("extra_fields", "entities carry fields nobody published"),
    Rehearsal("omit_empty", "empty collections are left out of the snapshot of a new socket"),
    Rehearsal("bare_sync", "the snapshot of a new socket shows no orders unless they are asked for by type"),
)
