"""The counter where every call is taken, by REST or socket: counted, limited, struck by a fault or not, performed.

In this order: shut doors answer 503; a login over its limits is answered 429 or with a ticket; a penalty that is
being served demands its ticket; then an armed fault, or one by chance, has its turn.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from dataclasses import replace
from typing import assert_never

from justtrades.broker.simulator import replies
from justtrades.broker.simulator.calls import Call
from justtrades.broker.simulator.change import ExchangeCancel, LateReject
from justtrades.broker.simulator.diary import Diary
from justtrades.broker.simulator.doors import Doors
from justtrades.broker.simulator.faults import Fault, Faults, Kind
from justtrades.broker.simulator.floor import Floor
from justtrades.broker.simulator.hand import close_all
from justtrades.broker.simulator.limits import Limits, Usage
from justtrades.broker.simulator.mixture import Mixture
from justtrades.broker.simulator.operations import ANONYMOUS, Operations
from justtrades.broker.simulator.replies import Reply, ok
from justtrades.broker.simulator.sessions import Sessions

_CUT = Reply(0, "", cut=True)
_PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


class Counter:
    def __init__(
        self,
        floor: Floor,
        sessions: Sessions,
        *,
        limits: Limits | None = None,
        doors: Doors | None = None,
        mixture: Mixture | None = None,
        diary: Diary | None = None,
    ) -> None:
        """`limits` None: nobody is ever asked to wait, but by a fault."""
        self.floor = floor
        self.sessions = sessions
        self.faults = Faults()
        self.requests: Tally[str] = Tally()
        self.operations = Operations(floor, sessions)
        self.doors = doors or Doors(floor.clock)
        self.mixture = mixture or Mixture()
        self.diary = diary or Diary(floor.clock)
        self._usage = Usage(limits) if limits else None

    async def take(self, call: Call) -> Reply:
        """The reply to a call; its events are told by whoever has sent it."""
        call = replace(call, session=self.sessions.of(call.token, self.floor.clock()))
        self.requests[call.endpoint] += 1
        if self.doors.are_shut:
            return replies.plain(503, "Maintenance")
        held_back = self._limited(call) or self._punished(call)
        if held_back is not None:
            return held_back
        by_chance = self.mixture.take(call.endpoint)
        fault = self.faults.take(call.endpoint) or by_chance
        if fault is None:
            return await self._perform(call)
        self.diary.note(f"{fault} struck {call.endpoint} (call {self.requests[call.endpoint]})")
        return await self._strike(fault, call)

    def _limited(self, call: Call) -> Reply | None:
        """429 without a body, or a ticket, when more was asked than the published limits allow."""
        if self._usage is None:
            return None
        user, now = call.session.user if call.session else None, self.floor.clock()
        if self._usage.locked(user, call.address, now):
            return replies.plain(429, "")
        shown = call.body.get("p-ticket")
        ticket = self._usage.penalty(call.endpoint, user, call.address, shown, now)
        return None if ticket is None else ok(ticket.answer)

    def _punished(self, call: Call) -> Reply | None:
        penalty = self.faults.penalty(call.endpoint, call.body.get("p-ticket"), self.floor.clock())
        return None if penalty is None else ok(penalty.answer)

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
            case Kind.ERROR_TEXT:
                return ok({"errorText": fault.word(0, "Operation failed"), "ok": False})
            case Kind.VIOLATIONS:
                return ok(
                    {
                        "violations": [
                            {
                                "constraint": fault.word(0, "orderQty"),
                                "value": "",
                                "description": fault.word(1, "Not valid"),
                            }
                        ]
                    }
                )
            case Kind.HAND_CLOSE:
                await close_all(self.floor)
                return await self._perform(call)
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
