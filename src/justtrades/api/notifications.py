"""`/api/v1/notifications`: whom to tell of what. A place's address holds a password or token: it goes in, is sealed,
and never comes out."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field, StringConstraints

from justtrades.api.audited import AuditedRoute
from justtrades.api.lists import USUAL, Cursor, IdOrName, Limit, cut
from justtrades.api.parts import Parts
from justtrades.api.problems import Problem, not_found
from justtrades.api.schemas import Given, Moment, Name, Page, Taken
from justtrades.api.security import PartsOf
from justtrades.courier import Delivery
from justtrades.notices import Kind
from justtrades.store import notifications
from justtrades.store.notifications import NameTaken, TargetRow

router = APIRouter(tags=["notifications"], route_class=AuditedRoute)

_SERVICE = re.compile(r"^([a-z][a-z0-9+]{1,30})://", re.IGNORECASE)


class NotificationIn(Taken):
    """`url` as apprise writes it, such as `discord://ID/TOKEN` or `mailto://USER:PASSWORD@HOST`; `kinds` empty: all."""

    name: Name
    url: Annotated[str, StringConstraints(min_length=8, max_length=2000, pattern=r"^[!-~]+$")]
    kinds: list[Kind] = Field(default_factory=list, max_length=20)


class NotificationOut(Given):
    """`waiting` messages are still to be sent; `last_error` is why the last one was not."""

    id: str
    name: str
    service: str
    kinds: list[Kind]
    enabled: bool
    created_at: Moment
    last_sent_at: Moment | None = None
    last_error: str | None = None
    last_error_at: Moment | None = None
    waiting: int = 0


class NotificationTested(Given):
    sent: bool


@router.get("/notifications")
async def list_notifications(parts: PartsOf, limit: Limit = USUAL, before: Cursor = None) -> Page[NotificationOut]:
    """Every place that is told, without its address."""
    rows, waiting = await parts.database.read(lambda c: (notifications.every(c), notifications.waiting_by_target(c)))
    shown = [_shown(row, waiting.get(row.id, 0)) for row in rows]
    return Page[NotificationOut].model_validate(cut(shown, lambda row: row.id, limit, before))


@router.post("/notifications", status_code=201)
async def add_notification(parts: PartsOf, body: NotificationIn) -> NotificationOut:
    """A place to tell. Whether it takes messages is for its test to say."""
    service = _SERVICE.match(body.url)
    if service is None or await parts.courier.deliver(body.url, "", "") is Delivery.UNKNOWN:
        raise Problem(422, "url: no service is known by this address; see docs/notifications.md for examples")
    kinds = tuple(dict.fromkeys(body.kinds))
    new = TargetRow(parts.database.new_id(), body.name, service[1].lower(), kinds, True, parts.clock())
    try:
        await parts.database.write(lambda c: notifications.add(c, parts.box, new, body.url))
    except NameTaken:
        raise Problem(409, "another place has this name: remove it first, or choose another") from None
    await parts.notices.refresh()
    return _shown(new, 0)


@router.delete("/notifications/{notification_id}")
async def remove_notification(parts: PartsOf, notification_id: IdOrName) -> NotificationOut:
    """It is told nothing more; what still waits for it is dropped."""
    row = await _get(parts, notification_id)
    await parts.database.write(lambda c: notifications.remove(c, row.id))
    await parts.notices.refresh()
    return _shown(row, 0)


@router.post("/notifications/{notification_id}/test")
async def test_notification(parts: PartsOf, notification_id: IdOrName) -> NotificationTested:
    """Sends one message now, past the outbox; 502 when it was not taken."""
    row = await _get(parts, notification_id)
    url = await parts.database.read(lambda c: notifications.url_of(c, parts.box, row.id))
    found = await parts.courier.deliver(url, "justtrades: test", f"{row.name} hears justtrades. {_at(parts.clock())}")
    if found is not Delivery.SENT:
        why = "did not answer in time" if found is Delivery.LATE else "was not reached or did not take the message"
        raise Problem(502, f"the service {why}")
    return NotificationTested(sent=True)


async def _get(parts: Parts, id_or_name: str) -> TargetRow:
    row = await parts.database.read(lambda c: notifications.find(c, id_or_name))
    if row is None:
        raise not_found("notification")
    return row


def _shown(row: TargetRow, waiting: int) -> NotificationOut:
    values: dict[str, Any] = {name: getattr(row, name) for name in TargetRow.__slots__}
    return NotificationOut.model_validate({**values, "waiting": waiting})


def _at(now: datetime) -> str:
    return f"{now:%Y-%m-%d %H:%M} UTC"
