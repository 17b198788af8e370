"""The hand that moves the simulated world: `/control/…`, from this machine only, without a token.

| route | does |
|---|---|
| `POST /control/price` `{symbol, price}` | the market trades there; answers after what fills is in the ledger |
| `GET /control/prices` | last prices by contract name |
| `POST /control/faults` `{fault, endpoint?, nth?, times?, when?}` | arms a fault, a manner or a blow (`faults`) |
| `GET`, `DELETE /control/faults` | shows, clears them |
| `GET /control/rehearsals` | what can be rehearsed, in words |
| `POST /control/mixture` `{faults, seed?}` | faults by chance (`mixture`) in place of the plan before |
| `GET /control/struck` | the faults that struck, oldest first |
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
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from justtrades.broker.simulator import calls
from justtrades.broker.simulator.armory import Armory
from justtrades.broker.simulator.book import Account
from justtrades.broker.simulator.counter import Counter
from justtrades.broker.simulator.documents import dumps, loads
from justtrades.broker.simulator.hand import MANUAL
from justtrades.broker.simulator.listing import Contract, contract_by_id, find_contract
from justtrades.broker.simulator.market import seed_price
from justtrades.broker.simulator.matching import MARKET
from justtrades.broker.simulator.mixture import Mixture, parse_plan
from justtrades.broker.simulator.rehearsals import REHEARSALS
from justtrades.broker.simulator.rules import Leg, Malformed, Refused, Ticket, Unknown
from justtrades.broker.simulator.sources import STORED
from justtrades.broker.simulator.tape import Outcome

Act = Callable[[Mapping[str, Any]], Awaitable[object]]
_ACCOUNT_FIELDS: Final = (*("max_order_qty", "max_position", "liquidation_only", "locked", "active", "late_risk"),)


class Control:
    def __init__(self, counter: Counter, armory: Armory) -> None:
        self._counter = counter
        self._floor = counter.floor
        self._armory = armory

    def routes(self) -> list[BaseRoute]:
        table: dict[tuple[str, str], Act] = {
            ("POST", "price"): self._set_price,
            ("GET", "prices"): self._prices,
            ("POST", "faults"): self._arm,
            ("GET", "faults"): self._armed,
            ("DELETE", "faults"): self._clear,
            ("GET", "rehearsals"): self._rehearsals,
            ("GET", "struck"): self._struck,
            ("POST", "mixture"): self._mix,
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
        await self._armory.arm(body)
        return self._armory.armed

    async def _armed(self, _body: Mapping[str, Any]) -> object:
        return self._armory.armed

    async def _clear(self, _body: Mapping[str, Any]) -> object:
        self._armory.clear()
        return self._armory.armed

    async def _rehearsals(self, _body: Mapping[str, Any]) -> object:
        return [asdict(one) for one in REHEARSALS]

    async def _mix(self, body: Mapping[str, Any]) -> object:
        seed = calls.number(body, "seed") if "seed" in body else 1
        plan = calls.word(body, "faults")
        self._armory.follow(Mixture(parse_plan(plan), seed))
        return {"faults": plan, "seed": seed}

    async def _struck(self, _body: Mapping[str, Any]) -> object:
        return self._counter.diary.lines

    # ── a person at the same account ─────────────────────────────────────────────────────────────────────

    async def _hand(self, body: Mapping[str, Any]) -> object:
        contract, account = self._contract(body), self._account(body)
        if contract.id not in self._floor.venue.book.prices:
            await self._floor.trade_at(contract, seed_price(contract.root))
        leg = Leg(calls.word(body, "action"), MARKET)
        ticket = Ticket(account.id, contract.name, calls.number(body, "qty"), leg, stamp=MANUAL)
        return self._told(await self._floor.act(lambda venue, now: venue.place(ticket, now)))

    async def _cancel(self, body: Mapping[str, Any]) -> object:
        order_id = calls.number(body, "orderId")
        return self._told(await self._floor.act(lambda venue, now: venue.cancel(order_id, now, stamp=MANUAL)))

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
        except ClientDisconnect:
            return Response(status_code=499)  # whoever asked is gone; nothing was done
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
