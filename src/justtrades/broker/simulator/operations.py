"""Tradovate's operations, by name, over a floor: the same table serves REST and the socket.

A business failure is HTTP 200 with a failureReason, a missing entity 404, a malformed request 400 with the text
seen on the wire (protocol.md sections 1 and 5). Each operation takes a call and returns a reply; the table at
the end is the whole interface.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal

from justtrades.broker.simulator import calls, listing, replies
from justtrades.broker.simulator.calls import Call
from justtrades.broker.simulator.documents import decimal, instant, loads
from justtrades.broker.simulator.floor import Floor, Verb
from justtrades.broker.simulator.lookups import QUERIES, Lookups
from justtrades.broker.simulator.market import seed_price
from justtrades.broker.simulator.replies import Reply, ok
from justtrades.broker.simulator.rules import Malformed, Refused, Unknown, denied
from justtrades.broker.simulator.sessions import Session, Sessions
from justtrades.broker.simulator.sources import Fixed, sources
from justtrades.broker.simulator.sync import SyncMessage, user_document
from justtrades.broker.simulator.tape import Frame

Operation = Callable[[Call], Awaitable[Reply]]
ANONYMOUS = frozenset({"auth/accesstokenrequest", "auth/oauthtoken"})
_HOSTS = dict.fromkeys(
    ("live", "demo", "mdLive", "mdDemo", "replay", "reportingLive", "reportingDemo"), "paper.invalid"
)
"""The token answer lists seven hosts (recorded); the simulator is none of them."""
_SPELLINGS = {
    "cashbalance/getcashbalancesnapshot": "cashBalance/getcashbalancesnapshot",
    "orderstrategy/startorderstrategy": "orderStrategy/startorderstrategy",
}
"""Actions that are not written in lower case."""


class Operations:
    def __init__(self, floor: Floor, sessions: Sessions) -> None:
        self._floor = floor
        self._sessions = sessions
        readable = sources(floor)
        self.sync = SyncMessage(floor, readable)
        self._lookups = Lookups(readable)
        self._actions = self._table()

    def spelled(self, endpoint: str) -> str | None:
        """How the published document writes this operation; None for one that does not exist."""
        if endpoint.lower() in self._actions:
            return _SPELLINGS.get(endpoint.lower(), endpoint.lower())
        return self._lookups.spelled(endpoint)

    async def perform(self, call: Call) -> Reply:
        """The reply to a call whose caller may make it."""
        try:
            action = self._actions.get(call.endpoint)
            return await action(call) if action else self._lookups.reply(call)
        except Refused as refused:
            return ok(refused.answer)
        except Unknown:
            return replies.NOT_FOUND
        except Malformed as error:
            return replies.plain(400, str(error))

    def _table(self) -> dict[str, Operation]:
        return {
            "auth/accesstokenrequest": self._log_in,
            "auth/oauthtoken": self._exchange_code,
            "auth/renewaccesstoken": self._renew,
            "auth/me": self._me,
            "order/placeorder": self._place,
            "order/placeoco": self._place_oco,
            "order/placeoso": self._place_oso,
            "order/modifyorder": self._modify,
            "order/cancelorder": self._cancel,
            "order/liquidateposition": self._liquidate,
            "order/liquidatepositions": self._liquidate_many,
            "cashbalance/getcashbalancesnapshot": self._cash_snapshot,
            "contract/rollcontract": self._roll_contract,
            "user/syncrequest": self._sync,
            **dict.fromkeys((f"user/{operation}" for operation in QUERIES), self._users),
            "orderstrategy/startorderstrategy": self._no_strategies,
        }

    async def _sync(self, call: Call) -> Reply:
        return Reply(200, self.sync.text(call.who, call.body.get("entityTypes")))

    async def _users(self, call: Call) -> Reply:
        """A login sees nobody but itself."""
        user = user_document(call.who)
        return QUERIES[call.endpoint.partition("/")[2]](Fixed([user]), call.query)

    async def _no_strategies(self, _call: Call) -> Reply:
        """Some users are answered so (client code); everybody is here."""
        return ok({"errorText": "Order strategy is disabled"})

    # ── authentication ───────────────────────────────────────────────────────────────────────────────────

    async def _log_in(self, call: Call) -> Reply:
        name = calls.word(call.body, "name")
        if not self._sessions.may_enter(name, calls.word(call.body, "password")):
            return ok({"errorText": "Incorrect username or password. Please try again."})
        return self._token_answer(*self._sessions.open(name, self._floor.clock()))

    async def _renew(self, call: Call) -> Reply:
        return self._token_answer(call.who, self._sessions.renew(call.who, self._floor.clock()))

    def _token_answer(self, session: Session, token: str) -> Reply:
        return ok(
            {
                "accessToken": token,
                "mdAccessToken": f"md-{token}",
                "expirationTime": instant(session.expires),
                "userStatus": "Active",
                "userId": session.user_id,
                "name": session.user,
                "hasLive": False,
                "hasSimPlus": False,
                "outdatedTaC": False,
                "hasFunded": False,
                "hasMarketData": True,
                "requiredNonProCertification": False,
                "outdatedSentimentPolicy": False,
                "outdatedLiquidationPolicy": False,
                "orgName": "paper",
                "apiHosts": _HOSTS,
            }
        )

    async def _exchange_code(self, call: Call) -> Reply:
        if not self._sessions.use_code(calls.word(call.body, "code")):
            text = "Wrong or used already authorization code"
            return ok({"error": "invalid_grant", "error_description": text})
        now = self._floor.clock()
        session, token = self._sessions.open("oauth", now)
        lifetime = int((session.expires - now).total_seconds())
        return ok({"access_token": token, "token_type": "bearer", "expires_in": lifetime})

    async def _me(self, call: Call) -> Reply:
        user = call.who.user
        return ok(
            {"userId": call.who.user_id, "name": user, "fullName": user, "email": f"{user}@paper.invalid"}
            | {"emailVerified": True, "isTrial": False}
        )

    # ── orders ───────────────────────────────────────────────────────────────────────────────────────────

    async def _place(self, call: Call) -> Reply:
        ticket = calls.read_ticket(call)
        await self._see_price(ticket.symbol)
        return await self._act(lambda venue, now: venue.place(ticket, now, call.fate))

    async def _place_oco(self, call: Call) -> Reply:
        ticket, other = calls.read_ticket(call), calls.read_part(call.body, "other")
        await self._see_price(ticket.symbol)
        return await self._act(lambda venue, now: venue.place_oco(ticket, other, now, call.fate))

    async def _place_oso(self, call: Call) -> Reply:
        """`bracket1` is required; `bracket2` is optional [client code]."""
        ticket, brackets = calls.read_ticket(call), [calls.read_part(call.body, "bracket1")]
        if call.body.get("bracket2") is not None:
            brackets.append(calls.read_part(call.body, "bracket2"))
        await self._see_price(ticket.symbol)
        return await self._act(lambda venue, now: venue.place_oso(ticket, tuple(brackets), now, call.fate))

    async def _modify(self, call: Call) -> Reply:
        order_id, qty = calls.number(call.body, "orderId"), calls.number(call.body, "orderQty")
        self._check_known(order_id)
        leg = calls.read_leg(call.body, self._floor.venue.side_of(order_id))
        stamp = calls.read_stamp(call)
        return await self._act(lambda venue, now: venue.modify(order_id, qty, leg, now, stamp=stamp))

    async def _cancel(self, call: Call) -> Reply:
        order_id, stamp = calls.number(call.body, "orderId"), calls.read_cancel_stamp(call)
        self._check_known(order_id)
        return await self._act(lambda venue, now: venue.cancel(order_id, now, stamp=stamp))

    def _check_known(self, order_id: int) -> None:
        """The venue forgets orders that ended long ago; the ledger does not."""
        if order_id not in self._floor.venue.book.orders and self._floor.ledger.item("order", order_id):
            raise Refused("TooLate")

    async def _liquidate(self, call: Call) -> Reply:
        account = calls.number(call.body, "accountId")
        contract = listing.contract_by_id(calls.number(call.body, "contractId"))
        if contract is None:
            raise denied()
        stamp = calls.read_stamp(call)
        await self._see_price(contract.name)
        return await self._act(lambda venue, now: venue.liquidate(account, contract, now, stamp=stamp))

    async def _liquidate_many(self, call: Call) -> Reply:
        """`positions` are ids of positions, at most 100."""
        ids = call.body.get("positions")
        if not isinstance(ids, list) or len(ids) > 100:
            raise calls.malformed()
        frames: list[Frame] = []
        try:
            for id_ in ids:
                frames += (await self._liquidate_row(call, id_)).frames
        except Refused as refused:
            return ok({"errorText": refused.text or refused.reason, "ok": False}, frames)
        return ok({"ok": True}, frames)

    async def _liquidate_row(self, call: Call, position_id: object) -> Reply:
        text = self._floor.ledger.item("position", calls.number({"id": position_id}, "id"))
        if text is None:
            raise Unknown("position")
        row = loads(text)
        body = {"accountId": row["accountId"], "contractId": row["contractId"]}
        return await self._liquidate(Call(call.endpoint, body=body, session=call.session))

    async def _act(self, verb: Verb) -> Reply:
        outcome = await self._floor.act(verb)
        return ok(outcome.answer, outcome.frames)

    async def _see_price(self, symbol: str) -> None:
        """A contract that never traded gets a plausible first price."""
        contract = listing.find_contract(symbol, self._floor.clock())
        if contract is not None and contract.id not in self._floor.venue.book.prices:
            await self._floor.trade_at(contract, seed_price(contract.root))

    # ── the rest ─────────────────────────────────────────────────────────────────────────────────────────

    async def _cash_snapshot(self, call: Call) -> Reply:
        account = calls.number(call.body, "accountId")
        cash = self._floor.venue.book.cash.get(account)
        if cash is None:
            return ok({"errorText": "Access is denied"})
        open_profit, realized = self._open_profit(account), decimal(cash["realizedPnL"])
        amount = decimal(cash["amount"])
        return ok(
            {"totalCashValue": amount, "totalPnL": realized + open_profit, "netLiq": amount + open_profit}
            | {"openPnL": open_profit, "realizedPnL": realized, "weekRealizedPnL": cash["weekRealizedPnL"]}
            | {"initialMargin": 0, "maintenanceMargin": 0, "autoLiqLevel": 0}
        )

    def _open_profit(self, account: int) -> Decimal:
        book, profit = self._floor.venue.book, Decimal(0)
        for (owner, contract_id), held in book.holdings.items():
            contract, last = listing.contract_by_id(contract_id), book.prices.get(contract_id)
            if owner == account and held.net and contract is not None and last is not None:
                sign = 1 if held.net > 0 else -1
                gained = sum(((last - lot.price) * lot.qty for lot in held.lots), Decimal(0))
                profit += sign * gained * contract.root.point_value
        return profit

    async def _roll_contract(self, call: Call) -> Reply:
        name, now = calls.word(call.body, "name"), self._floor.clock()
        contract = listing.find_contract(name, now)
        forward = calls.flag(call.body, "forward")
        rolled = contract and listing.neighbour(contract, now, forward=forward is not False)
        if rolled is None:
            return ok({"errorText": "Contract is not found"})
        return ok({"contract": listing.contract_document(rolled)})
