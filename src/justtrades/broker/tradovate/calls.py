"""One audited attempt: from a request to what was heard, with every secret struck out on the way to the audit.

The first attempt of a mutation has its audit row already (the engine wrote it in the step's transaction); any
further attempt of it writes its own, durably, before it goes out. A read is written whole, afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from justtrades.broker.port import AuditId, Auditor, BrokerError, Exchange, Gate
from justtrades.broker.tradovate import answers, exact
from justtrades.broker.tradovate.line import Line, Outgoing
from justtrades.positions.model import ClientOrderId, SignalId

STRUCK = "***"
SECRET_FIELDS = frozenset(
    {"password", "sec", "accesstoken", "mdaccesstoken", "access_token", "refresh_token", "client_secret", "code"}
)
AUTH = "/auth/"


def open_gate() -> str | None:
    """For what no rule of ours stops: reads and log-ins."""
    return None


@dataclass(frozen=True, slots=True)
class Call:
    """A request as its asker sees it; the token and a ticket are added for each attempt."""

    method: str
    endpoint: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    mutates: bool = False
    audit_id: AuditId | None = None
    """The row written by the engine; belongs to the first attempt only."""
    signal_id: SignalId | None = None
    order_id: ClientOrderId | None = None

    def with_ticket(self, ticket: str) -> Call:
        """The identical request with its penalty ticket: in the body, and for a look-up in the query too."""
        params = {**self.params, "p-ticket": ticket} if self.method == "GET" else self.params
        return replace(self, params=params, body={**(self.body or {}), "p-ticket": ticket})


class Calls:
    def __init__(
        self,
        line: Line,
        auditor: Auditor,
        clock: Callable[[], datetime],
        secrets: tuple[str, ...] = (),
    ) -> None:
        self._line = line
        self._auditor = auditor
        self._clock = clock
        self._secrets = secrets
        self.ahead = timedelta()
        """How far the broker's clock was ahead of ours at the last answer that told it."""

    async def attempt(
        self, call: Call, token: str | None = None, gate: Gate = open_gate, *, first: bool = True
    ) -> answers.Heard:
        """What the broker said. Raises `NotSent` or `Unreachable`."""
        row = self._row(call, first)
        if call.mutates and (call.audit_id is None or not first):
            await self._auditor.before(row)
        started = asyncio.get_running_loop().time()
        status: int | None = None
        said = "no answer"
        outgoing = Outgoing(call.method, call.endpoint, call.params, call.body, token)
        try:
            raw = await self._line.send(outgoing, gate)
            status, said = raw.status, self._struck(call, raw.text, token)
            self.ahead = raw.at - self._clock() if raw.at else self.ahead
        except BrokerError as error:
            said = str(error)
            raise
        finally:
            elapsed = (asyncio.get_running_loop().time() - started) * 1000
            self._auditor.after(replace(row, status=status, duration_ms=elapsed, response=said))
        return answers.heard(raw.status, raw.text)

    def _row(self, call: Call, first: bool) -> Exchange:
        asked = {**call.params, **(call.body or {})}
        return Exchange(
            id=call.audit_id if call.audit_id and first else self._auditor.new_id(),
            at=self._clock(),
            method=call.method,
            endpoint=call.endpoint,
            request=exact.dumps(_without_secrets(asked)) if asked else None,
            signal_id=call.signal_id,
            order_id=call.order_id,
        )

    def _struck(self, call: Call, text: str, token: str | None) -> str:
        """`text` without what must not be kept; an unreadable log-in answer is not kept at all."""
        if call.endpoint.startswith(AUTH):
            text = _struck_fields(text)
        return self.struck(text, token)

    def struck(self, text: str, token: str | None = None) -> str:
        """`text` with every secret value of this login replaced, wherever it stands."""
        for secret in (*self._secrets, token):
            if secret and len(secret) > 3:
                text = text.replace(secret, STRUCK)
        return text


def _struck_fields(text: str) -> str:
    try:
        return exact.dumps(_without_secrets(exact.loads(text)))
    except ValueError:
        return f"unreadable, {len(text)} characters"


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: STRUCK if k.lower() in SECRET_FIELDS else _without_secrets(v) for k, v in value.items()}
    return [_without_secrets(item) for item in value] if isinstance(value, list) else value
