"""`apply`: one fact folded into what a lane knows. It decides nothing and sends nothing.

Knowledge only grows: statuses merge by rank, claimed quantities by `max`, fills by id. Applying a fact twice,
late or out of order therefore ends in the same lane. A picture is merged through the same leaves as single
reports; the only thing it adds is the broker's net position, which is compared, never copied.
"""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from justtrades.positions import book, exits, follow
from justtrades.positions.adoption import adopt, give_up
from justtrades.positions.changes import put, tell
from justtrades.positions.events import (
    AnswerLost,
    CallAccepted,
    CallNotSent,
    CallRefused,
    ConnectionLost,
    ContractLearned,
    Event,
    FillBusted,
    KillSwitched,
    LaneResumed,
    Looked,
    OrderFilled,
    OrderReported,
    PictureTaken,
    PictureWanted,
    PositionReported,
    ReadFailed,
    Restarted,
    SignalReceived,
    TimePassed,
)
from justtrades.positions.limits import Limits, backoff
from justtrades.positions.model import (
    UNEXPLAINED,
    BrokerOrder,
    BrokerOrderId,
    Call,
    CallKind,
    ClientOrderId,
    Divergence,
    Doubt,
    Fill,
    Job,
    Lane,
    Noted,
    Order,
    OrderType,
    Purpose,
    ReadKind,
    Status,
)
from justtrades.positions.settle import beside_ours, exit_denied, settle, surely_short
from justtrades.positions.values import replace

NOT_FOUND = "not found at the broker"
UNLISTED = "the broker does not list it any more"
NOTHING_TO_CANCEL = ("TooLate", "HTTP 404", "HTTP 401")
"""What a cancel of an order that has ended, or is not there, is answered with (protocol.md section 5: recorded, a
guess, client code)."""
MOST_LIQUIDATORS = 50
MOST_BUSTED = 1_000
"""Executions undone that a lane knows by name; the exchange undoes a few in a year."""


def apply(lane: Lane, event: Event, now: datetime, limits: Limits) -> Lane:
    return settle(_fold(lane, event, now, limits), now, limits)


def _fold(lane: Lane, event: Event, now: datetime, limits: Limits) -> Lane:  # noqa: PLR0911 - one arm an event
    match event:
        case SignalReceived(signal):
            return _receive(lane, Job(signal))
        case CallAccepted() | CallRefused() | CallNotSent() | AnswerLost():
            return _answered(lane, event, now, limits)
        case OrderReported(order):
            return _report(lane, order, now)
        case OrderFilled(fill):
            return _fill(lane, fill)
        case FillBusted():
            return _bust(lane, event, now)
        case PositionReported():
            return _position_said(lane, event, now, limits)
        case Looked():
            return _looked(lane, event, now, limits)
        case PictureTaken():
            return _picture(lane, event, now, limits)
        case ReadFailed(_, requests):
            return _read_failed(lane, requests, now, limits)
        case ConnectionLost():
            return replace(lane, synced=False, picture_wanted=True)
        case Restarted():
            return _restarted(lane, now, limits)
        case KillSwitched(on):
            return replace(lane, killed=on)
        case ContractLearned(contract):
            return replace(lane, contract=contract)
        case PictureWanted():
            return replace(lane, picture_wanted=True, read_again_at=None)
        case LaneResumed():
            return _resumed(lane, event, now, limits)
        case TimePassed():
            return lane
        case _:
            assert_never(event)


def _receive(lane: Lane, job: Job) -> Lane:
    if any(j.signal.id == job.signal.id for j in lane.jobs):
        return lane
    at = follow.place_in(lane, job)
    return replace(lane, jobs=(*lane.jobs[:at], job, *lane.jobs[at:]))


# ── answers to our own calls ─────────────────────────────────────────────────────────────────────────────

Answer = CallAccepted | CallRefused | CallNotSent | AnswerLost


def _answered(lane: Lane, answer: Answer, now: datetime, limits: Limits) -> Lane:
    call = lane.call
    if call is None or call.id != answer.call_id:
        return lane
    lane = replace(lane, call=None)
    match answer:
        case CallAccepted(_, broker_ids):
            return _accepted(replace(lane, retries=0, retry_at=None), call, broker_ids, now)
        case CallRefused(_, reason, text):
            return _refused(lane, call, reason, text, now, limits)
        case CallNotSent():
            return _not_sent(lane, call, answer, now, limits)
        case AnswerLost():
            return _lost(lane, call, answer, now, limits)
        case _:
            assert_never(answer)


def _accepted(lane: Lane, call: Call, broker_ids: tuple[BrokerOrderId, ...], now: datetime) -> Lane:
    match call.kind:
        case CallKind.PLACE:
            for client_id, broker_id in zip(call.orders, broker_ids, strict=False):
                lane = _bind(lane, lane.order(client_id), broker_id)
            return lane
        case CallKind.LIQUIDATE:
            order = lane.order(call.orders[0])
            if broker_ids:
                return _bind(lane, order, broker_ids[0])
            return replace(put(lane, _end(order, Status.CANCELED, now, "nothing to close")), picture_wanted=True)
        case CallKind.MODIFY:
            order = lane.order(call.orders[0])
            quantity = order.quantity if call.quantity is None else call.quantity
            return put(lane, replace(order, quantity=quantity, price=call.price, changed_at=now, modify_refused=0))
        case CallKind.CANCEL:
            return lane
        case _:
            assert_never(call.kind)


def _bind(lane: Lane, order: Order, broker_id: BrokerOrderId) -> Lane:
    if order.broker_id is not None:
        return lane
    status = max(order.status, Status.SENT)
    if order.doubt is not None:
        text = f"the {order.purpose} without an answer was found at the broker as {broker_id}, {_search(order.doubt)}"
        lane = tell(lane, Noted(order.signal_id, text))
    return put(lane, replace(order, broker_id=broker_id, status=status, doubt=None, unsent=False))


def _search(doubt: Doubt) -> str:
    return f"after {doubt.looks} looks that did not show it" if doubt.looks else "before any look missed it"


def _end(order: Order, status: Status, now: datetime, reason: str, text: str = "") -> Order:
    """The order ended with this status, unless more is known of it already."""
    if order.status.ended and order.status >= status:
        return order
    return replace(order, status=status, reason=reason, text=text or None, ended_at=now, doubt=None, unsent=False)


def _refused(lane: Lane, call: Call, reason: str, text: str, now: datetime, limits: Limits) -> Lane:
    orders = [lane.order(client_id) for client_id in call.orders]
    if call.kind in (CallKind.PLACE, CallKind.LIQUIDATE):
        for order in orders:
            lane = put(lane, _end(order, Status.REJECTED, now, reason, text))
        return _exit_refused(lane, orders[0], reason, text, now, limits)
    order = orders[0]
    if call.kind is CallKind.MODIFY:
        lane = put(lane, replace(order, modify_refused=order.modify_refused + 1))
    elif reason in NOTHING_TO_CANCEL and exits.vanished(lane, order, limits):
        lane = put(lane, _end(order, Status.EXPIRED, now, UNLISTED))
    return replace(lane, picture_wanted=True)


def _exit_refused(lane: Lane, order: Order, reason: str, text: str, now: datetime, limits: Limits) -> Lane:
    """A refused target, stop or close is tried again with growing waits; a refused entry is not."""
    said = f"{reason}: {text}" if text else reason
    match order.purpose:
        case Purpose.ENTRY:
            return lane
        case Purpose.CLOSE:
            lane = replace(lane, jobs=tuple(replace(j, exit_refusal=said) if j.exiting else j for j in lane.jobs))
        case Purpose.TARGET | Purpose.STOP:
            return exit_denied(lane, order, said, now, limits)
        case _:
            assert_never(order.purpose)
    return _wait(lane, now, limits)


def _wait(lane: Lane, now: datetime, limits: Limits) -> Lane:
    waits = min(backoff(limits, lane.retries), limits.exit_backoff_most)
    return replace(lane, retries=lane.retries + 1, retry_at=now + waits)


def _try_not_counted(lane: Lane) -> Lane:
    """A closing order that never reached the broker, or may not have, is no try that failed."""
    jobs = (replace(j, exit_tries=max(j.exit_tries - 1, 0)) if j.exiting else j for j in lane.jobs)
    return replace(lane, jobs=tuple(jobs))


def _not_sent(lane: Lane, call: Call, answer: CallNotSent, now: datetime, limits: Limits) -> Lane:
    """Not a byte left. An entry keeps its id for another try; everything else is planned afresh."""
    for client_id in call.orders if call.kind in (CallKind.PLACE, CallKind.LIQUIDATE) else ():
        order = lane.order(client_id)
        if order.broker_id is not None:
            continue  # a report bound it: it was sent after all
        if order.purpose is Purpose.ENTRY and not answer.final:
            lane = put(lane, replace(order, unsent=True, reason=answer.why, barred=answer.barred))
        else:
            lane = put(lane, _end(order, Status.ABSENT, now, answer.why))
    if _closes(lane, call):
        lane = _try_not_counted(lane)
    if answer.final:
        lane = _stopped(lane, call, answer)
    waited = _wait(lane, now, limits)
    again_at = answer.again_at or waited.retry_at
    if call.kind is CallKind.PLACE:
        purpose = lane.order(call.orders[0]).purpose
        if purpose is Purpose.ENTRY:
            return replace(lane, entries_again_at=again_at)
        if purpose.rests:
            return replace(waited, retry_at=None, protect_again_at=again_at)
    return replace(waited, retry_at=again_at)


def _stopped(lane: Lane, call: Call, answer: CallNotSent) -> Lane:
    """Only a person can help: what reduces or protects a position says so, once until something is taken again."""
    order = lane.order(call.orders[0])
    if lane.retries or (call.kind is CallKind.PLACE and order.purpose is Purpose.ENTRY):
        return lane
    text = f"nothing can be sent to the broker for {lane.contract.name}, not even exits: {answer.why}"
    return tell(lane, Noted(order.signal_id, text, alarm=True))


def _closes(lane: Lane, call: Call) -> bool:
    if call.kind is CallKind.LIQUIDATE:
        return True
    return call.kind is CallKind.PLACE and lane.order(call.orders[0]).purpose is Purpose.CLOSE


def _lost(lane: Lane, call: Call, answer: AnswerLost, now: datetime, limits: Limits) -> Lane:
    if _closes(lane, call):
        lane = _wait(_try_not_counted(lane), now, limits)
    if call.kind is CallKind.PLACE:
        for client_id in call.orders:
            order = lane.order(client_id)
            if order.broker_id is None:
                doubt = Doubt(since=now, why=answer.why)
                lane = put(
                    lane,
                    replace(
                        order,
                        doubt=doubt,
                        reason=answer.broker_reason,
                        named=answer.broker_reason is not None,
                    ),
                )
        return lane
    if call.kind is CallKind.LIQUIDATE:
        lane = put(lane, _end(lane.order(call.orders[0]), Status.ABSENT, now, answer.why))
    return replace(lane, stale_since=now, stale_order=call.orders[0], picture_wanted=True)


def _resumed(lane: Lane, event: LaneResumed, now: datetime, limits: Limits) -> Lane:
    """A person looked and lets the lane go on. Where the broker holds less than our books, they follow it; and fills
    that it claims and never showed are not waited for any longer."""
    lane = replace(lane, blocked=None, stopped=None, halted=None, exits_refused=0, exits_lost=0, protect_again_at=None)
    if (gone := _not_at_broker(lane)) != 0:
        if gone == book.held(lane) and lane.trade is not None:
            lane = replace(lane, trade=replace(lane.trade, exit_reason=UNEXPLAINED))
        lane = give_up(lane, gone, now)
    if event.adoption is not None:
        lane = adopt(lane, event.adoption, now)
    for order in book.unsettled(lane):
        if _never_shown(lane, order, limits):
            lane = put(lane, replace(order, written_off=True))
    left = book.foreign_quantity(lane)
    return replace(lane, left=left, divergence=None, retry_at=None, retries=0, stuck_since=None, picture_wanted=True)


def _never_shown(lane: Lane, order: Order, limits: Limits) -> bool:
    """It ended long before the last picture, which still lacks fills that it claims."""
    if order.ended_at is None or lane.checked_at is None:
        return False
    return order.status.ended and lane.checked_at >= order.ended_at + limits.patience


def _not_at_broker(lane: Lane) -> int:
    """Signed contracts of our books that the broker does not hold and that no fill took away."""
    standing = book.standing(lane)
    shown = standing.held + standing.foreign
    against = standing.held * (standing.foreign - lane.left) < 0
    if not against or lane.broker_quantity != shown or standing.waiting:
        return 0
    kept = shown - lane.left
    return standing.held - kept if kept * standing.held > 0 else standing.held


def _restarted(lane: Lane, now: datetime, limits: Limits) -> Lane:
    lane = replace(lane, read=None, synced=False, picture_wanted=True, retry_at=None, read_again_at=None)
    if lane.call is None:
        return lane
    return _answered(lane, AnswerLost(lane.call.id, "the engine stopped before the answer came"), now, limits)


# ── reports ──────────────────────────────────────────────────────────────────────────────────────────────


def _report(lane: Lane, said: BrokerOrder, now: datetime, *, trusted: bool = False) -> Lane:
    order = _known(lane, said)
    if order is None:
        return _not_ours(lane, said, now)
    late = order.status is Status.ABSENT
    lane = _bind(lane, order, said.broker_id)
    lane = put(lane, _merged(lane.order(order.id), said, now, trusted=trusted))
    if late:
        text = f"the broker showed {order.purpose} {order.id} after it counted as not placed"
        lane = tell(lane, Noted(order.signal_id, text, alarm=True))
    return lane


def _not_ours(lane: Lane, said: BrokerOrder, now: datetime) -> Lane:
    """Somebody else's order is left alone, but two kinds are remembered: the broker's own, and a twin of ours."""
    first = next((o for o in lane.orders if o.id == said.client_id and o.twin_of is None), None)
    if first is not None:
        return _twin(lane, first, said, now)
    if not said.admin or said.broker_id in lane.liquidators:
        return lane
    lane = replace(lane, liquidators=(*lane.liquidators, said.broker_id)[-MOST_LIQUIDATORS:])
    quantity = sum(f.quantity for f in lane.fills if f.broker_order_id == said.broker_id)
    return _liquidated(lane, quantity) if quantity else lane


def _liquidated(lane: Lane, quantity: int) -> Lane:
    text = f"the broker itself liquidated {quantity} {lane.contract.name}: entries stop until a person resumes the lane"
    signal_id = lane.trade.signal_id if lane.trade else None
    return tell(replace(lane, stopped=lane.stopped or text), Noted(signal_id, text, alarm=True))


def _twin(lane: Lane, first: Order, said: BrokerOrder, now: datetime) -> Lane:
    """The broker made two orders of one of ours: what works is cancelled, what has filled is ours and protected."""
    twin = replace(
        first,
        id=ClientOrderId(f"{first.id}/{said.broker_id}"),
        twin_of=first.id,
        broker_id=said.broker_id,
        status=Status.SENT,
        quantity=said.quantity or first.quantity,
        claimed=0,
        version=0,
        oco=None,
        doubt=None,
        ended_at=None,
        cancel_asked=0,
        changed_at=None,
    )
    text = f"found twice: the broker shows {first.broker_id} and {said.broker_id} for one {first.purpose} of ours"
    lane = tell(replace(lane, stopped=lane.stopped or text), Noted(first.signal_id, text, alarm=True))
    return put(lane, _merged(twin, said, now, trusted=True))


def _known(lane: Lane, said: BrokerOrder) -> Order | None:
    bound = lane.ours(said.broker_id)
    if bound is not None or said.client_id is None:
        return bound
    return next((o for o in lane.orders if o.id == said.client_id and o.broker_id is None), None)


def _merged(order: Order, said: BrokerOrder, now: datetime, *, trusted: bool) -> Order:
    merged = replace(order, claimed=max(order.claimed, said.claimed), text=said.text or order.text)
    if said.reason is not None:
        merged = replace(merged, reason=said.reason)
    if said.status > merged.status:
        merged = replace(merged, status=said.status)
    if merged.status.ended and merged.ended_at is None:
        merged = replace(merged, ended_at=now)
    return _version(merged, said, trusted=trusted)


def _version(order: Order, said: BrokerOrder, *, trusted: bool) -> Order:
    """Price and quantity follow the broker's newest version; the same version again is older than our change."""
    if said.version < order.version or (said.version == order.version and order.changed_at and not trusted):
        return order
    confirmed = said.version > order.version or trusted
    return replace(
        order,
        version=said.version,
        quantity=order.quantity if said.quantity is None else said.quantity,
        price=order.price if said.price is None or order.order_type is OrderType.MARKET else said.price,
        changed_at=None if confirmed else order.changed_at,
    )


def _fill(lane: Lane, fill: Fill) -> Lane:
    if fill.id in lane.busted or any(f.id == fill.id for f in lane.fills):
        return lane
    newest = max(fill.at, lane.filled_at or fill.at)
    lane = replace(lane, fills=(*lane.fills, fill), filled_at=newest)
    return _liquidated(lane, fill.quantity) if fill.broker_order_id in lane.liquidators else lane


def _bust(lane: Lane, event: FillBusted, now: datetime) -> Lane:
    """Of the fills here it leaves. Of a trade that is over, what it had closed (or opened) stands again, and not as
    ours: known for sure, and so before any position list shows it."""
    fill_id = event.fill_id
    if fill_id in lane.busted:
        return lane
    lane = replace(lane, busted=(*lane.busted, fill_id)[-MOST_BUSTED:], picture_wanted=True)
    here = next((f for f in lane.fills if f.id == fill_id), None)
    if here is not None:
        fills = tuple(f for f in lane.fills if f.id != fill_id)
        lane = replace(lane, fills=fills, undone=(*lane.undone, here))
    elif event.fill is not None and event.counted:
        after = replace(lane, foreign=lane.foreign - event.fill.signed)
        # What is not ours already may be this very bust, believed from a position list: pictures will tell.
        lane = after if lane.foreign else surely_short(lane, after, now)
    elif event.fill is not None:
        lane = replace(lane, undone=(*lane.undone, event.fill))  # never heard of, but its order claims it
    signal_id = lane.trade.signal_id if lane.trade else None
    return tell(lane, Noted(signal_id, f"the exchange undid fill {fill_id}", alarm=True))


def _position_said(lane: Lane, said: PositionReported, now: datetime, limits: Limits) -> Lane:
    """A hint: when it differs while all is quiet, a picture shows who is right.

    A stream begins with everything in one piece, so there no fill is late that would explain the difference: it is
    as good as one that has lasted, once pictures show the same.
    """
    lane = replace(lane, broker_quantity=said.quantity)
    difference = said.quantity - _expected(lane)
    if difference == 0 or not book.quiet(lane):
        return lane
    if said.snapshot and not book.standing(lane).waiting:
        lane = replace(lane, divergence=Divergence(difference, since=now - limits.divergence_for))
    return replace(lane, picture_wanted=True)


def _expected(lane: Lane) -> int:
    now_held = book.standing(lane)
    return now_held.held + now_held.foreign


# ── reads ────────────────────────────────────────────────────────────────────────────────────────────────


def _read_failed(lane: Lane, requests: int, now: datetime, limits: Limits) -> Lane:
    if lane.read is not None and lane.read.kind is ReadKind.LOOK:
        return _looked_in_vain(lane, lane.read.at, requests)
    wanted = lane.picture_wanted or lane.read is not None
    failed = lane.reads_failed
    again = now + backoff(limits, failed + 1)
    return replace(lane, read=None, picture_wanted=wanted, reads_failed=failed + 1, read_again_at=again)


def _looked_in_vain(lane: Lane, began_at: datetime, requests: int) -> Lane:
    """A look that failed says nothing; the next one keeps to the schedule."""
    lane = replace(lane, read=None)
    for order in lane.orders:
        if order.doubt is not None:
            doubt = replace(order.doubt, last_look=began_at, clean=False, reads=order.doubt.reads + requests)
            lane = put(lane, replace(order, doubt=doubt))
    return lane


def _looked(lane: Lane, seen: Looked, now: datetime, limits: Limits) -> Lane:
    lane = replace(lane, read=None, reads_failed=0, read_again_at=None)
    for said in seen.orders:
        lane = _report(lane, said, now)
    for fill in seen.fills:
        lane = _fill(lane, fill)
    return _count_negatives(lane, seen.began_at, now, limits, seen.requests)


def _count_negatives(lane: Lane, began_at: datetime, now: datetime, limits: Limits, requests: int = 0) -> Lane:
    """A clean read without our order is one negative; enough of them over the settle window end the doubt."""
    for order in lane.orders:
        doubt = order.doubt
        if doubt is None or order.broker_id is not None or began_at < doubt.since:
            continue
        last = max(began_at, doubt.last_look or began_at)
        doubt = replace(doubt, looks=doubt.looks + 1, negatives=doubt.negatives + 1, last_look=last, clean=True)
        doubt = replace(doubt, reads=doubt.reads + requests)
        if doubt.negatives >= limits.clean_negatives and began_at - doubt.since >= limits.settle * 0.99:
            text = f"the {order.purpose} without an answer is not at the broker: {doubt.negatives} clean looks in "
            text += f"{(began_at - doubt.since).total_seconds():.1f} s did not show it"
            lane = tell(lane, Noted(order.signal_id, text))
            lane = put(lane, _end(order, Status.ABSENT, now, order.reason or NOT_FOUND))
        else:
            lane = put(lane, replace(order, doubt=doubt))
    return lane


def _picture(lane: Lane, picture: PictureTaken, now: datetime, limits: Limits) -> Lane:
    before, overtaken = lane, _overtaken(lane, picture)
    lane = replace(lane, read=None, reads_failed=0, read_again_at=None)
    if not overtaken:
        lane = _in_sight(lane, picture)
    for said in picture.orders:
        lane = _report(lane, said, now, trusted=_trusted(lane, said, picture.began_at, limits))
    for fill in picture.fills:
        lane = _fill(lane, fill)
    if lane.stale_since is not None and picture.began_at >= lane.stale_since:
        lane = replace(lane, stale_since=None, stale_order=None)
    lane = _count_negatives(lane, picture.began_at, now, limits)
    if overtaken:
        return lane
    lane = replace(lane, broker_quantity=picture.quantity, checked_at=picture.began_at)
    lane = _settle_short(_not_listed(lane, picture, now, limits), picture, limits)
    changed = (before.fills, before.orders) != (lane.fills, lane.orders)
    since = _moved_at(before, picture) or now
    return _compare(lane, picture, since, now, limits, restarted=changed)


def _overtaken(lane: Lane, picture: PictureTaken) -> bool:
    """It stood in line, and a more urgent one that began later was here first: its facts stay facts, its sight and
    its position are past."""
    return lane.checked_at is not None and picture.began_at < lane.checked_at


def _in_sight(lane: Lane, picture: PictureTaken) -> Lane:
    if picture.streaming and not lane.synced:  # the broker is back: exits that waited for it go now
        lane = replace(lane, retry_at=None, protect_again_at=None)
    return replace(lane, synced=picture.streaming, picture_wanted=False)


def _not_listed(lane: Lane, picture: PictureTaken, now: datetime, limits: Limits) -> Lane:
    """Remembers since when pictures do not show an order that should be alive. A list may lack what is there, so
    by itself this ends nothing: the order is cancelled (`exits.vanished`), and has ended when there was nothing to
    cancel, or when cancel after cancel changed nothing."""
    listed = {said.broker_id for said in picture.orders}
    for order in lane.orders:
        if not order.status.at_broker or order.broker_id is None:
            continue
        if order.broker_id in listed or picture.began_at < order.sent_at + limits.missing_after:
            changed = replace(order, unlisted_since=None)
        elif order.cancel_asked >= limits.cancels and exits.vanished(lane, order, limits):
            changed = _end(order, Status.EXPIRED, now, UNLISTED)
        else:
            changed = replace(order, unlisted_since=order.unlisted_since or picture.began_at)
        if changed != order:
            lane = put(lane, changed)
    return lane


def _settle_short(lane: Lane, picture: PictureTaken, limits: Limits) -> Lane:
    """A change that crossed the fill may not have come into force: then the fills are the order's quantity.

    Believed when the position of a later picture is exactly what the fills make.
    """
    if picture.quantity != _expected(lane) or book.standing(lane).waiting:
        return lane
    for order in lane.orders:
        done, ended = book.executed(lane, order), order.ended_at
        short = order.status is Status.FILLED and order.claimed <= done < order.quantity and done > 0
        if short and ended is not None and picture.began_at >= ended + limits.missing_after:
            lane = put(lane, replace(order, quantity=done))
    return lane


def _trusted(lane: Lane, said: BrokerOrder, began_at: datetime, limits: Limits) -> bool:
    order = lane.ours(said.broker_id)
    if order is None or order.changed_at is None:
        return order is not None
    return began_at >= order.changed_at + limits.change_trusted_after


def _moved_at(lane: Lane, picture: PictureTaken) -> datetime | None:
    """When a position moved that nothing here explains: since the last look, and after every fill we know.

    That a position's timestamp is its last change is a guess (protocol.md appendix A has only its name), so it is
    believed for no longer ago than the last look.
    """
    at, last = picture.position_at, lane.checked_at
    if at is None or last is None or not last < at < picture.began_at:
        return None
    known = [fill.at for fill in (*lane.fills, *picture.fills)]
    return at if all(before < at for before in (*known, lane.filled_at or last)) else None


def _compare(
    lane: Lane, picture: PictureTaken, since: datetime, now: datetime, limits: Limits, *, restarted: bool
) -> Lane:
    """Books beside broker. A difference is believed only when quiet pictures show it again and again."""
    difference = picture.quantity - _expected(lane)
    if difference == 0 or not book.quiet(lane) or book.standing(lane).waiting:
        return replace(lane, divergence=None)
    seen = lane.divergence
    if seen is None or seen.quantity != difference or restarted:
        return replace(lane, divergence=Divergence(difference, since))
    seen = replace(seen, seen=seen.seen + 1)
    if seen.seen < limits.divergence_seen or picture.began_at - seen.since < limits.divergence_for:
        return replace(lane, divergence=seen)
    return _believe(lane, difference)


def _believe(lane: Lane, difference: int) -> Lane:
    foreign = lane.foreign + difference
    lane = replace(lane, foreign=foreign, divergence=None)
    standing = book.standing(lane)
    if standing.foreign == lane.left:
        return lane
    text = f"the broker holds {standing.foreign:+d} on {lane.contract.name} that no order of ours explains"
    text = beside_ours(lane, standing) if book.lacks(lane) else text
    lane = replace(lane, blocked=lane.blocked or text)
    return tell(lane, Noted(lane.trade.signal_id if lane.trade else None, text, alarm=True))


__all__ = ["apply"]
