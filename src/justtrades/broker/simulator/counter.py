"""The counter where every call is taken, by REST or socket: counted, struck by a fault or not, and performed."""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from dataclasses import replace
from typing import assert_never

from justtrades.broker.simulator import replies
from justtrades.broker.simulator.calls import Call
from justtrades.broker.simulator.change import ExchangeCancel, LateReject
from justtrades.broker.simulator.faults import Fault, Faults, Kind
from justtrades.broker.simulator.floor import Floor
from justtrades.broker.simulator.operations import ANONYMOUS, Operations
from justtrades.broker.simulator.replies import Reply, ok
from justtrades.broker.simulator.sessions import Sessions

_CUT = Reply(0, "", cut=True)
_PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


class Counter:
    def __init__(self, floor: Floor, sessions: Sessions) -> None:
        self.floor = floor
        self.sessions = sessions
        self.faults = Faults()
        self.requests: Tally[str] = Tally()
        self.operations = Operations(floor, sessions)

    async def take(self, call: Call) -> Reply:
        """The reply to a call; its events are told by whoever has sent it."""
        call = replace(call, session=self.sessions.of(call.token, self.floor.clock()))
        self.requests[call.endpoint] += 1
        penalty = self.faults.penalty(call.endpoint, call.body.get("p-ticket"), self.floor.clock())
        if penalty is not None:
            return ok(penalty.answer)
        fault = self.faults.take(call.endpoint)
        return await (self._strike(fault, call) if fault else self._perform(call))

    async def _perform(self, call: Call) -> Reply:
        if call.session is None and call.endpoint not in ANONYMOUS:
            return replies.DENIED
        return await self.operations.perform(call)

    async def _strike(self, fault: Fault, call: Call) -> Reply:
        match fault.kind:
            case Kind.LOSE_REQUEST:
                return _CUT
            case Kind.LOSE_ANSWER | Kind.STALL:
                return await self._delay(fault, call)
            case Kind.STATUS | Kind.EMPTY | Kind.HTML:
                return await self._distort(fault, call)
            case Kind.FAILURE:
                return ok({"failureReason": fault.word(0, "UnknownReason"), "failureText": fault.word(1)})
            case Kind.LATE_REJECT:
                fate = LateReject(fault.word(0, "UnknownReason"), fault.word(1))
                return await self._perform(replace(call, fate=fate))
            case Kind.EXCHANGE_CANCEL:
                return await self._perform(replace(call, fate=ExchangeCancel()))
            case Kind.PENALTY:
                return ok(self.faults.punish(call.endpoint, fault, self.floor.clock()).answer)
            case _:
                assert_never(fault.kind)

    async def _delay(self, fault: Fault, call: Call) -> Reply:
        """Late, or late and never. What is done is told to the sockets at once."""
        if not fault.after:
            await asyncio.sleep(fault.seconds)
            return await self._perform(call)
        reply = await self._done_and_told(call)
        await asyncio.sleep(fault.seconds)
        return _CUT if fault.kind is Kind.LOSE_ANSWER else reply

    async def _distort(self, fault: Fault, call: Call) -> Reply:
        if fault.after:
            await self._done_and_told(call)
        if fault.kind is Kind.EMPTY:
            return Reply(200, "{}")
        if fault.kind is Kind.HTML:
            return Reply(int(fault.word(0, "200")), _PAGE, replies.HTML)
        return replies.plain(int(fault.word(0, "500")), "")

    async def _done_and_told(self, call: Call) -> Reply:
        reply = await self._perform(call)
        self.floor.tell(reply.frames)
        return replace(reply, frames=())
