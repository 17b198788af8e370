"""Every route of the application × every kind of key: what opens is what `rules` says, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI

from justtrades.api.rules import API, OPEN, RULES, needed
from justtrades.api.security import admin
from justtrades.store.keys import Scope
from tests.api.world import ADMIN_KEY, LOCAL_KEY, World, lane
from tests.api.world import world as make_world

Pair = tuple[str, str]


def walked(routes: Iterable[Any], prefix: str = "") -> Iterator[Pair]:
    """Every method and path, through routers in routers; what is no plain route gets a method no rule knows."""
    for route in routes:
        inner = getattr(route, "original_router", None)  # newer FastAPI keeps included routers whole
        if inner is not None:
            yield from walked(inner.routes, prefix + route.include_context.prefix)
        else:
            for method in getattr(route, "methods", None) or {type(route).__name__}:
                yield method, prefix + route.path


def routes_of(app: FastAPI) -> set[Pair]:
    return {(method, path) for method, path in walked(app.routes) if method != "HEAD"}


def ruled() -> set[Pair]:
    return set(OPEN) | {(method, path if path == "/metrics" else API + path) for method, path in RULES}


def concrete(path: str) -> str:
    return re.sub(r"\{\w+\}", "x", path)


async def key_of(world: World, scope: Scope) -> str:
    made = await world.send("POST", "/keys", {"name": f"a {scope} key", "scope": scope})
    key: str = made.json()["key"]
    return key


# ── every route has a rule ───────────────────────────────────────────────────────────────────────────────────


async def test_every_route_has_a_rule_and_every_rule_a_route(world: World) -> None:
    assert routes_of(world.app) == ruled()


async def test_the_walk_sees_everything_the_document_lists(world: World) -> None:
    listed = {(m.upper(), path) for path, found in world.app.openapi()["paths"].items() for m in found}
    assert len(listed) > 30
    assert listed <= routes_of(world.app)


async def test_a_new_route_without_a_rule_is_noticed_and_is_an_admins_only(world: World) -> None:
    inner, outer = APIRouter(), APIRouter(prefix=API, dependencies=[Depends(admin)])

    @inner.get("/brand-new")
    async def brand_new() -> str:
        return "told"

    outer.include_router(inner)
    world.app.include_router(outer)
    assert routes_of(world.app) - ruled() == {("GET", "/api/v1/brand-new")}
    for scope, status in ((Scope.READ, 403), (Scope.TRADE, 403), (Scope.ADMIN, 200)):
        headers = {"Authorization": f"Bearer {await key_of(world, scope)}"}
        assert (await world.http.get("/api/v1/brand-new", headers=headers)).status_code == status


# ── what opens what ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["no key", "wrong key", "no bearer", "empty", "read", "trade", "admin", "settings"])
async def test_a_key_opens_what_its_scope_allows_and_nothing_else(world: World, kind: str) -> None:
    world.desk.views.append(lane())
    headers, scope = await _headers(world, kind)
    refused, opened = 0, 0
    for method, path in sorted(routes_of(world.app) - OPEN):
        allowed = scope is not None and scope.includes(needed(method, path))
        before = list(world.desk.acts)
        answer = await world.http.request(method, concrete(path), headers=headers)
        told = (kind, method, path, answer.text)
        if allowed:
            opened += 1
            assert answer.status_code < 500, told
            assert answer.status_code not in {401, 403}, told
        else:
            refused += 1
            assert answer.status_code == (401 if scope is None else 403), told
            assert answer.headers["content-type"] == "application/problem+json"
            assert world.desk.acts == before, told
    assert (refused > 0, opened > 0) == (scope is not Scope.ADMIN, scope is not None)


async def test_what_is_open_shows_no_more_with_a_key_than_without(world: World) -> None:
    for method, path in sorted(OPEN):
        bare = await world.http.request(method, concrete(path))
        keyed = await world.http.request(method, concrete(path), headers=world.admin)
        assert (bare.status_code, bare.content) == (keyed.status_code, keyed.content), path


async def test_a_read_key_changes_nothing_and_a_trade_key_sets_nothing_up(world: World) -> None:
    for (method, path), scope in RULES.items():
        if scope is Scope.READ:
            assert method == "GET" or path == "/explain", path
        if method in {"PATCH", "DELETE"} or path in {"/connections", "/recorders"}:
            assert scope is (Scope.READ if method == "GET" else Scope.ADMIN), path


async def test_head_needs_what_get_needs(world: World) -> None:
    headers = {"Authorization": f"Bearer {await key_of(world, Scope.READ)}"}
    assert (await world.http.head("/api/v1/keys", headers=headers)).status_code in {403, 405}
    assert needed("HEAD", "/keys") is Scope.ADMIN
    assert needed("HEAD", "/signals") is Scope.READ


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_key_is_shown_once_and_kept_as_a_hash(world: World) -> None:
    made = (await world.send("POST", "/keys", {"name": "grafana"})).json()
    assert made["scope"] == "read"
    assert len(made["key"]) >= 43
    listed = await world.get("/keys")
    assert made["key"] not in listed.text
    (row,) = listed.json()["items"]
    assert (row["name"], row["last_used_at"], row["in_force"]) == ("grafana", None, True)


async def test_a_key_shows_when_it_was_last_used_also_after_a_restart(world: World) -> None:
    headers = {"Authorization": f"Bearer {await key_of(world, Scope.READ)}"}
    await world.http.get("/api/v1/kill", headers=headers)
    first = world.clock.now
    world.clock.pass_seconds(20)
    await world.http.get("/api/v1/kill", headers=headers)
    shown = (await world.get("/keys")).json()["items"][0]["last_used_at"]
    assert shown == world.clock.now.isoformat().replace("+00:00", "Z")
    world.app.state.keyring.last_used.clear()  # as after a restart: exact to a minute, and no write for each use
    kept = (await world.get("/keys")).json()["items"][0]["last_used_at"]
    assert kept == first.isoformat().replace("+00:00", "Z")


async def test_a_revoked_key_stops_at_once(world: World) -> None:
    key = await key_of(world, Scope.READ)
    headers = {"Authorization": f"Bearer {key}"}
    assert (await world.http.get("/api/v1/kill", headers=headers)).status_code == 200
    assert (await world.send("DELETE", "/keys/a%20read%20key")).status_code == 200
    assert (await world.http.get("/api/v1/kill", headers=headers)).status_code == 401
    assert (await world.send("DELETE", "/keys/a%20read%20key")).status_code == 404


async def test_the_last_admin_key_is_not_revoked_by_accident() -> None:
    async with make_world(peer="127.0.0.1") as world:
        local = {"Authorization": f"Bearer {LOCAL_KEY}"}
        one, two = [
            (await world.http.post("/api/v1/keys", json={"name": name, "scope": "admin"}, headers=local)).json()
            for name in ("one", "two")
        ]
        await world.http.post("/api/v1/keys", json={"name": "reader", "scope": "read"}, headers=local)
        by_two = {"Authorization": f"Bearer {two['key']}"}
        assert (await world.http.delete(f"/api/v1/keys/{one['id']}", headers=by_two)).status_code == 200
        answer = await world.http.delete(f"/api/v1/keys/{two['id']}", headers=by_two)
        assert answer.status_code == 409
        assert "last admin key" in answer.json()["detail"]
        assert (await world.http.get("/api/v1/keys", headers=by_two)).status_code == 200


async def test_with_a_key_in_the_settings_the_last_stored_one_may_go() -> None:
    async with make_world(admin_key=ADMIN_KEY) as world:
        await key_of(world, Scope.ADMIN)
        assert (await world.send("DELETE", "/keys/a%20admin%20key")).status_code == 200


async def test_two_keys_never_share_a_name(world: World) -> None:
    await key_of(world, Scope.READ)
    answer = await world.send("POST", "/keys", {"name": "a read key"})
    assert answer.status_code == 409


async def test_the_audit_names_the_key_and_never_shows_it(world: World) -> None:
    key = await key_of(world, Scope.TRADE)
    await world.http.put("/api/v1/kill", json={"on": True}, headers={"Authorization": f"Bearer {key}"})
    await world.app.state.audit.drain()
    audit = await world.get("/audit")
    assert "by key a trade key" in audit.text
    assert key not in audit.text


async def _headers(world: World, kind: str) -> tuple[dict[str, str], Scope | None]:
    match kind:
        case "no key":
            return {}, None
        case "wrong key":
            return {"Authorization": f"Bearer {ADMIN_KEY}x"}, None
        case "no bearer":
            return {"Authorization": f"Basic {ADMIN_KEY}"}, None
        case "empty":
            return {"Authorization": "Bearer "}, None
        case "settings":
            return world.admin, Scope.ADMIN
        case _:
            return {"Authorization": f"Bearer {await key_of(world, Scope(kind))}"}, Scope(kind)
