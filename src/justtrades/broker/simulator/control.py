"""The hand that moves the simulated world: `/control/…`, from this machine only, without a token.

| route | does |
|---|---|
| `POST /control/price` `{symbol, price}` | the market trades there; answers after what fills is in the ledger |
| `GET /control/prices` | last prices by contract name |
| `POST /control/faults` `{fault, endpoint?, nth?, times?, when?}` | arms a fault, a manner or a blow (`faults`) |
| `GET`, `DELETE /control/faults` | shows, clears them |
| `POST /control/hand` `{account, symbol, action, qty}` | a person's market order |
| `POST /control/cancel` `{orderId}` | a person's cancel |
| `GET /control/ledger` | every order, fill, position, command …, whatever its age |
| `GET /control/requests` | calls per endpoint since the start |
| `POST /control/accounts` `{account, …}` | new limits of an account, by name or id |
| `POST /control/roll` | a new session begins: Day orders expire, positions are carried |
| `POST /control/liquidity` `{lot, depth}` | contracts per fill, and per order and tick (null: any) |
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from justtrades.broker.simulator import calls
from justtrades.broker.simulator.book import Account
from justtrades.broker.simulator.counter import Counter
from justtrades.broker.simulator.documents import dumps, loads
from justtrades.broker.simulator.faults import Blow, Manner, parse_fault
from justtrades.broker.simulator.listing import Contract, contract_by_id, find_contract
from justtrades.broker.simulator.market import seed_price
from justtrades.broker.simulator.matching import MARKET
from justtrades.broker.simulator.rules import Leg, Malformed, Refused, Ticket, Unknown
from justtrades.broker.simulator.sockets import Manners, Sockets
from justtrades.broker.simulator.sources import STORED
from justtrades.broker.simulator.tape import Outcome

Act = Callable[[Mapping[str, Any]], Awaitable[object]]
_MANUAL: Final = {"isAutomated": False}
_ACCOUNT_FIELDS: Final = (*("max_order_qty", "max_position", "liquidation_only", "locked", "active", "late_risk"),)


class Control:
    def __init__(self, counter: Counter, sockets: Sockets) -> None:
        self._counter = counter
        self._floor = counter.floor
        self._sockets = sockets

    def routes(self) -> list[BaseRoute]:
        table: dict[tuple[str, str], Act] = {
            ("POST", "price"): self._set_price,
            ("GET", "prices"): self._prices,
            ("POST", "faults"): self._arm,
            ("GET", "faults"): self._armed,
            ("DELETE", "faults"): self._clear,
            ("POST", "hand"): self._hand,
            ("POST", "cancel"): self._cancel,
            ("GET", "ledger"): self._ledger,
            ("GET", "requests"): self._requests,
            ("POST", "accounts"): self._limit,
            ("POST", "roll"): self._roll,
            ("POST", "liquidity"): self._set_liquidity,
        }
        return [Route(f"/control/{name}", _endpoint(act), methods=[method]) for (method, name), act in table.items()]

    # ── prices ───────────────────────────────────────────────────────────────────────────────────────────

    async def _set_price(self, body: Mapping[str, Any]) -> object:
        contract, price = self._contract(body), _decimal(body.get("price"))
        if not contract.on_tick(price):
            raise ValueError(f"{price} is not on the tick of {contract.name}")
        await self._floor.trade_at(contract, price, durable=True)
        return {"symbol": contract.name, "price": price}

    async def _prices(self, _body: Mapping[str, Any]) -> object:
        prices = self._floor.venue.book.prices.items()
        return {contract.name: price for id_, price in prices if (contract := contract_by_id(id_))}

    def _contract(self, body: Mapping[str, Any]) -> Contract:
        contract = find_contract(calls.word(body, "symbol"), self._floor.clock())
        if contract is None:
            raise ValueError("symbol must be a contract such as MNQZ6")
        return contract

    async def _set_liquidity(self, body: Mapping[str, Any]) -> object:
        venue = self._floor.venue
        venue.terms = replace(venue.terms, lot=body.get("lot"), depth=body.get("depth"))
        return {"lot": venue.terms.lot, "depth": venue.terms.depth}

    # ── faults ───────────────────────────────────────────────────────────────────────────────────────────

    async def _arm(self, body: Mapping[str, Any]) -> object:
        name, _, rest = calls.word(body, "fault").partition(":")
        if name in set(Blow):
            self._blow(Blow(name), rest)
        elif name in set(Manner):
            self._behave(Manner(name), rest)
        else:
            self._counter.faults.arm(parse_fault(body))
        return await self._armed(body)

    def _blow(self, blow: Blow, reason: str) -> None:
        match blow:
            case Blow.SILENT_SOCKET:
                self._sockets.silence()
            case Blow.DROP_SOCKET:
                self._sockets.drop()
            case Blow.SHUTDOWN:
                self._sockets.shut_down(reason or "Maintenance")

    def _behave(self, manner: Manner, rest: str) -> None:
        manners = self._sockets.manners
        match manner:
            case Manner.VISIBILITY_LAG:
                self._floor.history.lag = timedelta(seconds=float(rest))
            case Manner.DELAY_EVENTS:
                manners.delay = float(rest)
            case Manner.DUPLICATE_EVENTS:
                manners.duplicate = True
            case Manner.SHUFFLE_EVENTS:
                manners.shuffle = True
            case Manner.EVENTS_FIRST:
                self._floor.events_first = True
            case Manner.OMIT_EMPTY:
                self._counter.operations.sync.omit_empty = True

    async def _armed(self, _body: Mapping[str, Any]) -> object:
        return {
            "faults": [asdict(fault) for fault in self._counter.faults.armed],
            "manners": {
                **asdict(self._sockets.manners),
                "events_first": self._floor.events_first,
                "omit_empty": self._counter.operations.sync.omit_empty,
                "visibility_lag": self._floor.history.lag.total_seconds(),
            },
        }

    async def _clear(self, body: Mapping[str, Any]) -> object:
        self._counter.faults.clear()
        self._sockets.manners = Manners()
        self._floor.events_first = False
        self._counter.operations.sync.omit_empty = False
        self._floor.history.lag = timedelta(0)
        return await self._armed(body)

    # ── a person at the same account ─────────────────────────────────────────────────────────────────────

    async def _hand(self, body: Mapping[str, Any]) -> object:
        contract, account = self._contract(body), self._account(body)
        if contract.id not in self._floor.venue.book.prices:
            await self._floor.trade_at(contract, seed_price(contract.root))
        leg = Leg(calls.word(body, "action"), MARKET)
        ticket = Ticket(account.id, contract.name, calls.number(body, "qty"), leg, stamp=_MANUAL)
        return self._told(await self._floor.act(lambda venue, now: venue.place(ticket, now)))

    async def _cancel(self, body: Mapping[str, Any]) -> object:
        order_id = calls.number(body, "orderId")
        return self._told(await self._floor.act(lambda venue, now: venue.cancel(order_id, now, stamp=_MANUAL)))

    async def _roll(self, _body: Mapping[str, Any]) -> object:
        return self._told(await self._floor.act(lambda venue, now: venue.roll(now)))

    def _told(self, outcome: Outcome) -> object:
        self._floor.tell(outcome.frames)
        return outcome.answer

    async def _limit(self, body: Mapping[str, Any]) -> object:
        changes = {name: body[name] for name in _ACCOUNT_FIELDS if name in body}
        account = replace(self._account(body), **changes)
        await self._floor.set_account(account)
        return asdict(account)

    def _account(self, body: Mapping[str, Any]) -> Account:
        wanted, accounts = body.get("account"), self._floor.venue.book.accounts.values()
        found = next((account for account in accounts if wanted in (account.id, account.name)), None)
        if found is None:
            raise ValueError("account must be the name or id of one that exists")
        return found

    # ── the truth ────────────────────────────────────────────────────────────────────────────────────────

    async def _ledger(self, _body: Mapping[str, Any]) -> object:
        return {kind: [loads(text) for text in self._floor.ledger.every(kind)] for kind in STORED}

    async def _requests(self, _body: Mapping[str, Any]) -> object:
        return dict(self._counter.requests)


def _endpoint(act: Act) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        if not _from_here(request):
            return PlainTextResponse("Forbidden", 403)
        try:
            text = await request.body()
            return _json(await act(loads(text) if text.strip() else {}))
        except Refused as refused:
            return _json(refused.answer)
        except (Malformed, Unknown, ValueError, KeyError, TypeError) as error:
            return PlainTextResponse(str(error), 400)

    return serve


def _json(value: object) -> Response:
    return Response(dumps(value), media_type="application/json")


def _from_here(request: Request) -> bool:
    try:
        return request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _decimal(value: object) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError("price must be a number") from error
