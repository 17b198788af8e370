"""`/api/v1/keys`: named keys with a scope. A key is shown once, when it is made; only its hash is kept."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field

from justtrades.api.audited import AuditedRoute
from justtrades.api.keyring import Keyring, in_force
from justtrades.api.lists import USUAL, Cursor, IdOrName, Limit, cut
from justtrades.api.parts import Parts
from justtrades.api.problems import Problem, not_found
from justtrades.api.schemas import Given, Moment, Name, Page, Taken
from justtrades.api.security import PartsOf
from justtrades.store import keys
from justtrades.store.keys import Key, LastAdmin, NameTaken, Scope
from justtrades.store.secrets import hashed, new_token

router = APIRouter(tags=["keys"], route_class=AuditedRoute)


class KeyIn(Taken):
    name: Name
    scope: Scope = Scope.READ


class KeyOut(Given):
    """`in_force` is false for the key of the first start while `JUSTTRADES_ADMIN_KEY` is set in its place."""

    id: str
    name: str
    scope: Scope
    in_force: bool
    created_at: Moment
    last_used_at: Moment | None = None


class KeyMade(KeyOut):
    key: str = Field(description="The key itself, shown this once.")


@router.get("/keys")
async def list_keys(request: Request, parts: PartsOf, limit: Limit = USUAL, before: Cursor = None) -> Page[KeyOut]:
    """Every key, without the key itself."""
    ring = keyring(request)
    shown = [_shown(parts, ring, key) for key in await parts.database.read(keys.every)]
    return Page[KeyOut].model_validate(cut(shown, lambda row: row.id, limit, before))


@router.post("/keys", status_code=201)
async def add_key(request: Request, parts: PartsOf, body: KeyIn) -> KeyMade:
    """A key for a person or a script. `key` is shown this once."""
    made = new_token()
    key = Key(parts.database.new_id(), body.name, body.scope, hashed(made), parts.clock())
    try:
        await parts.database.write(lambda c: keys.add(c, key))
    except NameTaken:
        raise Problem(409, "another key has this name: revoke it first, or choose another") from None
    ring = keyring(request)
    await ring.refresh(parts)
    return KeyMade(**_shown(parts, ring, key).model_dump(), key=made)


@router.delete("/keys/{key_id}")
async def revoke_key(request: Request, parts: PartsOf, key_id: IdOrName) -> KeyOut:
    """It opens nothing from now on. The last admin key stays: make another one first."""
    elsewhere = parts.settings.admin_key is not None
    try:
        gone = await parts.database.write(lambda c: keys.revoke(c, key_id, other_admin=elsewhere))
    except LastAdmin:
        raise Problem(409, "this is the last admin key: make another one first") from None
    if gone is None:
        raise not_found("key")
    ring = keyring(request)
    await ring.refresh(parts)
    return _shown(parts, ring, gone)


def keyring(request: Request) -> Keyring:
    ring: Keyring = request.app.state.keyring
    return ring


def _shown(parts: Parts, ring: Keyring, key: Key) -> KeyOut:
    values: dict[str, Any] = {name: getattr(key, name) for name in ("id", "name", "scope", "created_at")}
    used = ring.last_used.get(key.id, key.last_used_at)
    return KeyOut(**values, in_force=in_force(parts, key), last_used_at=used)
