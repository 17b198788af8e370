"""A call with everything that can come between: a token, a 401, a penalty ticket, a lock, the budget.

`read` and `send` are one conversation each. What the broker did not handle may be repeated inside it, with the
gate asked again before every write: a 401 once with another token, a ticket after its wait, a 429 once if a
renewed token shows that it was a killed session and no penalty. What nobody knows is never repeated here.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from justtrades.broker.port import Asker, BrokerError, Gate, NotHandled, NotSent, Refused, Request, Sent, Unreachable
from justtrades.broker.tradovate import answers, exact, requests
from justtrades.broker.tradovate.access import Access, Token
from justtrades.broker.tradovate.answers import Denied, No, Payload, Slowed, Ticket, Unclear
from justtrades.broker.tradovate.budget import GATE_EVERY, Budget
from justtrades.broker.tradovate.calls import Call, Calls, open_gate
from justtrades.broker.tradovate.penalty import Penalty
from justtrades.positions.urgency import Urgency

LONGEST_ENTRY_TICKET, LONGEST_TICKET = 20.0, 600.0
"""Seconds. A longer wait is the asker's own; an entry is the same when it comes again, and so its ticket is kept."""
MOST_TICKETS_IN_A_ROW = 5
KEPT_TICKETS = 1000

READINGS = {
    requests.PLACE: answers.placed,
    requests.PAIR: answers.paired,
    requests.MODIFY: answers.commanded,
    requests.CANCEL: answers.commanded,
    requests.LIQUIDATE: answers.liquidated,
}


@dataclass(slots=True)
class _Conversation:
    """One call until it is answered: what was tried already."""

    call: Call
    urgency: Urgency
    gate: Gate
    askers: tuple[Asker, ...] = ()
    attempts: int = 0
    tickets: int = 0
    new_token: bool = False
    probed: bool = False


class Rest:
    def __init__(self, calls: Calls, access: Access, budget: Budget, penalty: Penalty) -> None:
        self._calls = calls
        self._access = access
        self._budget = budget
        self._penalty = penalty
        self._probing = asyncio.Lock()
        self._one_by_one = asyncio.Lock()
        self._tickets: OrderedDict[str, str] = OrderedDict()

    async def read(
        self,
        endpoint: str,
        params: Mapping[str, str] | None = None,
        *,
        urgency: Urgency = Urgency.RECONCILE,
        askers: tuple[Asker, ...] = (),
    ) -> Any:
        """The value of a clean answer. Raises any `BrokerError`; a failed read is never an empty one.

        The audit names the first of the `askers`; it counts for each of them.
        """
        first = askers[0] if askers else None
        order_id, signal_id = (first.order_id, first.signal_id) if first is not None else (None, None)
        call = Call("GET", endpoint, params or {}, order_id=order_id, signal_id=signal_id)
        talk = _Conversation(call, urgency, open_gate, askers)
        with self._no_secrets():
            value = await self._converse(talk)
            if (text := answers.complaint(value)) is not None:
                raise Refused("Error", text)
            return value

    async def rows(
        self,
        endpoint: str,
        params: Mapping[str, str] | None = None,
        *,
        urgency: Urgency = Urgency.RECONCILE,
        askers: tuple[Asker, ...] = (),
    ) -> list[Mapping[str, Any]]:
        """A list of entities. Anything else in its place is an answer nobody understands."""
        value = await self.read(endpoint, params, urgency=urgency, askers=askers)
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            raise Unreachable("UnknownAnswer", f"{endpoint} did not answer with a list")
        return list(value)

    async def send(self, request: Request, gate: Gate) -> Sent:
        """The broker's yes to a mutation; raises as the port says."""
        if lacking := requests.missing(request):
            raise NotSent("incomplete", lacking)
        talk = _Conversation(self._mutation(request), request.urgency, gate)
        with self._no_secrets():
            return READINGS[request.endpoint](await self._converse(talk))

    async def told_to_wait(self, status: int) -> None:
        """The socket was told 423 or 429: the same rules as for a call."""
        known = self._penalty_known()
        self._penalty.begin(status, asyncio.get_running_loop().time())
        if status == 429 and not known:
            await self._probe()

    @contextmanager
    def _no_secrets(self) -> Iterator[None]:
        """A broker's text may echo anything; what leaves here in an error holds no secret."""
        try:
            yield
        except BrokerError as error:
            token = self._access.current
            error.text = self._calls.struck(error.text, token.access if token else None)
            error.args = (f"{error.reason}: {error.text}" if error.text else error.reason,)
            raise

    def _mutation(self, request: Request) -> Call:
        call = Call(
            request.method,
            request.endpoint,
            body=request.body,
            mutates=True,
            audit_id=request.audit_id,
            signal_id=request.signal_id,
            order_id=request.order_id,
        )
        ticket = self._tickets.pop(_key(call), None)
        return call.with_ticket(ticket) if ticket else call

    # ── the conversation ─────────────────────────────────────────────────────────────────────────────────

    async def _converse(self, talk: _Conversation) -> Any:
        await self._probe_over()
        self._rests(talk.urgency)
        token = await self._access.token()
        while True:
            match await self._attempt(talk, token):
                case Payload(value):
                    return value
                case Ticket() as ticket:
                    await self._serve(talk, ticket)
                case Denied(text):
                    token = await self._another_token(talk, token, text)
                case Slowed(status):
                    token = await self._slowed(talk, status)
                case No(status, text):
                    raise Refused(f"HTTP {status}", text)
                case Unclear(status, text):
                    raise Unreachable(f"HTTP {status}", text)

    async def _attempt(self, talk: _Conversation, token: Token) -> answers.Heard:
        """Asked when it may be. In a lock protecting calls go one by one until one is let in, so that the first
        one's answer tells the others whether to go too."""
        await self._probe_over()
        if not (talk.urgency.protects and self._penalty.feels_its_way(asyncio.get_running_loop().time())):
            return await self._admitted(talk, token)
        async with self._one_by_one:
            return await self._felt(talk, token)

    def _rests(self, urgency: Urgency) -> None:
        """Raises for what has to rest now. What protects is spaced where it stands in line, not here: the reads
        of one picture go together or not at all."""
        if not urgency.protects or self._penalty.stopped:
            self._penalty.admit(urgency, asyncio.get_running_loop().time())

    async def _felt(self, talk: _Conversation, token: Token) -> answers.Heard:
        now = asyncio.get_running_loop().time()
        self._penalty.admit(talk.urgency, now)
        if self._penalty.feels_its_way(now):
            self._penalty.space_exits(now)
        return await self._admitted(talk, token)

    async def _admitted(self, talk: _Conversation, token: Token) -> answers.Heard:
        loop = asyncio.get_running_loop()
        async with self._budget.turn(talk.urgency, talk.gate):
            self._rests(talk.urgency)
            talk.attempts += 1
            for asker in talk.askers:
                asker.requests += 1
            answer = await self._calls.attempt(talk.call, token.access, talk.gate, first=talk.attempts == 1)
        if isinstance(answer, Payload):
            self._access.worked(token)
        if not isinstance(answer, Slowed) and talk.urgency.protects:
            self._penalty.exit_worked(loop.time())
        return answer

    async def _another_token(self, talk: _Conversation, token: Token, text: str) -> Token:
        """After a 401: once with another token. Denied again, or with a token that works, is a no."""
        if talk.new_token:
            raise Refused("HTTP 401", text)
        talk.new_token = True
        another = await self._access.after_denied(token)
        if another is None:
            raise Refused("HTTP 401", text)
        return another

    async def _serve(self, talk: _Conversation, ticket: Ticket) -> None:
        """Serve a penalty ticket: wait, then the identical request goes again with it, if it is still wanted."""
        if ticket.captcha:
            raise self._penalty.captcha()
        talk.tickets += 1
        longest = LONGEST_ENTRY_TICKET if talk.urgency is Urgency.ENTER else LONGEST_TICKET
        if ticket.seconds > longest or talk.tickets > MOST_TICKETS_IN_A_ROW:
            self._keep(talk.call, ticket.ticket)
            raise NotHandled("p-ticket", ticket.message, wait=timedelta(seconds=ticket.seconds))
        await _rested(ticket.seconds, talk.gate)
        talk.call = talk.call.with_ticket(ticket.ticket)

    def _keep(self, call: Call, ticket: str) -> None:
        if call.mutates:
            self._tickets[_key(call)] = ticket
        while len(self._tickets) > KEPT_TICKETS:
            self._tickets.popitem(last=False)

    async def _slowed(self, talk: _Conversation, status: int) -> Token:
        """A 423 or 429. A killed session looks like a lock, so a first 429 earns one look with a new token."""
        loop = asyncio.get_running_loop()
        known = self._penalty_known()
        wait = self._penalty.begin(status, loop.time())
        if status == 429 and not talk.probed:
            talk.probed = True
            token = await self._probe() if not known else await self._probed_by_another()
            if token is not None:
                return token
        if not talk.urgency.protects:
            wait = NotHandled(str(status), wait.text, wait=timedelta(seconds=self._penalty.left(loop.time())))
        raise wait

    def _penalty_known(self) -> bool:
        return self._penalty.active(asyncio.get_running_loop().time()) and self._penalty.status == 429

    async def _probe_over(self) -> None:
        """Whether it is a penalty is being found out: nobody is sent away for an hour before that is known."""
        if self._probing.locked():
            async with self._probing:
                pass

    async def _probed_by_another(self) -> Token | None:
        if not self._probing.locked():
            return None
        await self._probe_over()
        lifted = not self._penalty.active(asyncio.get_running_loop().time())
        return await self._access.token() if lifted else None

    async def _probe(self) -> Token | None:
        """A token is renewed and proved by one read: when that works there is no penalty."""
        async with self._probing:
            try:
                token = await self._access.renew()
            except BrokerError:
                return None
            self._penalty.lift()
            return token


async def _rested(seconds: float, gate: Gate) -> None:
    """Waits, unless the gate closes meanwhile."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while (left := until - loop.time()) > 0:
        await asyncio.sleep(min(left, GATE_EVERY))
        if sentence := gate():
            raise NotSent("p-ticket", f"{sentence}; it waited because the broker asked to", final=True)


def _key(call: Call) -> str:
    """A ticket belongs to the identical request."""
    body = {name: value for name, value in (call.body or {}).items() if name != "p-ticket"}
    return f"{call.endpoint} {exact.dumps(body)}"
