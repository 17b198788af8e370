"""The faults that do not wait for a call: they fall on the sockets, the logins or the accounts, now.

What a person or the broker's risk desk does to an account goes through the venue like any order, so it is in the
ledger and every socket hears of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from justtrades.broker.simulator.counter import Counter
from justtrades.broker.simulator.documents import instant
from justtrades.broker.simulator.doors import Doors
from justtrades.broker.simulator.faults import Blow
from justtrades.broker.simulator.hand import cancel_all, close_all
from justtrades.broker.simulator.sockets import Sockets

_MAINTENANCE: Final = 60.0
"""Seconds, where none are asked for."""


class Blows:
    def __init__(self, counter: Counter, sockets: Sockets, doors: Doors) -> None:
        self._counter = counter
        self._floor = counter.floor
        self._sockets = sockets
        self._doors = doors

    async def strike(self, blow: Blow, rest: str = "") -> None:
        """`rest` is what stands behind the colon: a shutdown's reason, seconds of maintenance."""
        self._counter.diary.note(f"{blow}{':' if rest else ''}{rest} struck")
        match blow:
            case Blow.SILENT_SOCKET:
                self._sockets.silence()
            case Blow.HALF_OPEN_SOCKET:
                self._sockets.leave()
            case Blow.DROP_SOCKET:
                self._sockets.drop()
            case Blow.SHUTDOWN:
                self._sockets.shut_down(rest or "Maintenance")
            case Blow.MAINTENANCE:
                self._doors.shut(float(rest or _MAINTENANCE))
                self._sockets.shut_down("Maintenance")
            case Blow.EXPIRE_TOKENS | Blow.KICK_OUT:
                self._end_logins(blow)
            case _:
                await self._at_accounts(blow)

    def _end_logins(self, blow: Blow) -> None:
        if blow is Blow.KICK_OUT:
            self._counter.sessions.close_all("ConnectionQuotaReached")
            return
        self._counter.sessions.expire_all()
        self._sockets.expire()

    async def _at_accounts(self, blow: Blow) -> None:
        match blow:
            case Blow.CLOSE_BY_HAND:
                await close_all(self._floor)
            case Blow.CANCEL_BY_HAND:
                await cancel_all(self._floor)
            case Blow.LIQUIDATE:
                await self._liquidate()
            case Blow.LIQUIDATION_ONLY:
                await self._set_accounts(liquidation_only=True)
            case Blow.LOCK:
                await self._set_accounts(locked=True)
            case Blow.RESTORE:
                await self._set_accounts(liquidation_only=False, locked=False)
            case Blow.ROLL:
                outcome = await self._floor.act(lambda venue, now: venue.roll(now))
                self._floor.tell(outcome.frames)
            case _:
                raise AssertionError(f"{blow} is no blow at accounts")

    async def _liquidate(self) -> None:
        await self._set_accounts(liquidation_only=True, auto_liq_started=instant(self._floor.clock()))
        await cancel_all(self._floor)
        await close_all(self._floor)

    async def _set_accounts(self, **limits: Any) -> None:
        for account in tuple(self._floor.venue.book.accounts.values()):
            await self._floor.set_account(replace(account, **limits))
