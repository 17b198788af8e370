"""`GET /api/v1/status`: the engine at a glance, its audit of itself included."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from justtrades.api.audited import AuditedRoute
from justtrades.api.security import PartsOf
from justtrades.selfaudit.auditor import Report

router = APIRouter(tags=["health"], route_class=AuditedRoute)


class FindingOut(BaseModel):
    """What must not be. `since`: when it was told."""

    model_config = ConfigDict(from_attributes=True)

    invariant: str
    text: str
    since: datetime


class SelfAuditOut(BaseModel):
    """The last audit of the books. `error`: why the last try failed, null when it did not."""

    model_config = ConfigDict(from_attributes=True)

    every_seconds: float
    at: datetime | None
    took_ms: float | None
    checks: int
    findings: list[FindingOut]
    error: str | None


class StatusOut(BaseModel):
    """`self_audit` is null where the engine does not audit itself."""

    version: str
    ready: bool
    reasons: list[str]
    kill_switch: bool
    self_audit: SelfAuditOut | None


@router.get("/status")
async def show_status(parts: PartsOf) -> StatusOut:
    """Ready or why not, the kill switch, and what the engine's audit of its own books found."""
    reasons, audit = parts.desk.not_ready(), parts.self_audit
    return StatusOut(
        version=parts.version,
        ready=not reasons,
        reasons=list(reasons),
        kill_switch=parts.desk.kill_state().on,
        self_audit=_told(audit.every, audit.report) if audit is not None else None,
    )


def _told(every: float, report: Report) -> SelfAuditOut:
    took = round(report.took_ms, 1) if report.took_ms is not None else None
    return SelfAuditOut(
        every_seconds=every,
        at=report.at,
        took_ms=took,
        checks=report.checks,
        findings=[FindingOut.model_validate(finding) for finding in report.findings],
        error=report.error,
    )
