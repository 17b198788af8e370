"""`/api/v1`: acts of a person. Each is audited; each only reduces, stops, or lets go on what was stopped."""

from __future__ import annotations

from fastapi import APIRouter

from justtrades.api.audited import AuditedRoute
from justtrades.api.lists import Id
from justtrades.api.parts import Parts
from justtrades.api.problems import Problem, not_found
from justtrades.api.records import ComparedOut, DifferencesOut, LaneOut, LanesOut
from justtrades.api.schemas import (
    CloseIn,
    CloseOut,
    FlattenIn,
    FlattenOut,
    KillIn,
    KillOut,
    ReconcileIn,
    ResumeIn,
)
from justtrades.api.security import Admin, PartsOf
from justtrades.api.views import lane_row
from justtrades.broker.port import BrokerError, Refused
from justtrades.desk import NoSuchLane
from justtrades.positions.model import AccountId, ContractName, RecorderId
from justtrades.store import accounts
from justtrades.takeover import CannotAdopt

router = APIRouter(tags=["acts"], route_class=AuditedRoute)


@router.post("/positions/close", status_code=202)
async def close(parts: PartsOf, by: Admin, body: CloseIn) -> CloseOut:
    """Closes what is ours on one account and contract. The signal's page tells how it went."""
    try:
        signal_id = await parts.desk.close(AccountId(body.account_id), ContractName(body.contract), by)
    except NoSuchLane:
        raise not_found("lane") from None
    return CloseOut(signal_id=signal_id)


@router.post("/flatten", status_code=202)
async def flatten(parts: PartsOf, by: Admin, body: FlattenIn | None = None) -> FlattenOut:
    """Closes everything of ours, on one account or on all."""
    account = await _account(parts, body)
    return FlattenOut(signal_ids=list(await parts.desk.flatten(account, by)))


@router.get("/kill")
async def kill_state(parts: PartsOf) -> KillOut:
    return KillOut.model_validate(parts.desk.kill_state())


@router.put("/kill")
async def kill(parts: PartsOf, by: Admin, body: KillIn) -> KillOut:
    """While on, no entry leaves. In force and durable when this answers; exits go on."""
    await parts.desk.kill(body.on, body.reason, by)
    return KillOut.model_validate(parts.desk.kill_state())


@router.post("/reconcile")
async def reconcile(parts: PartsOf, body: ReconcileIn | None = None) -> LanesOut | DifferencesOut:
    """Compares books and broker now and mends what differs; waits at most 10 s. `dry_run` only tells."""
    account = await _account(parts, body)
    if body is not None and body.dry_run:
        return DifferencesOut(lanes=[ComparedOut.model_validate(one) for one in await parts.desk.compare(account)])
    views = await parts.desk.reconcile(account)
    return LanesOut(lanes=[LaneOut.model_validate(lane_row(view)) for view in views])


@router.post("/lanes/resume")
async def resume_lane(parts: PartsOf, by: Admin, body: ResumeIn) -> LanesOut:
    """Lets a lane go on. `adopt` makes the foreign quantity the recorder's trade (`recorder_id` says which when there
    are several), `leave` leaves it alone."""
    account, contract = AccountId(body.account_id), ContractName(body.contract)
    recorder_id = RecorderId(body.recorder_id) if body.recorder_id else None
    adopts = body.decision == "adopt"
    try:
        signal_id = await parts.desk.resume(account, contract, adopt=adopts, by=by, recorder_id=recorder_id)
    except NoSuchLane:
        raise not_found("lane") from None
    except CannotAdopt as error:
        raise Problem(409, str(error)) from None
    except Refused as error:
        raise Problem(409, f"the broker does not know {contract}: {error}") from None
    except BrokerError as error:
        raise Problem(503, f"the broker could not be asked: {error}") from None
    views = [view for view in parts.desk.lanes() if (view.account_id, view.contract) == (account, contract)]
    return LanesOut(lanes=[LaneOut.model_validate(lane_row(view)) for view in views], signal_id=signal_id)


@router.post("/accounts/{account_id}/resume", status_code=204)
async def resume_account(parts: PartsOf, by: Admin, account_id: Id) -> None:
    """Lets entries on a halted account go on."""
    try:
        await parts.desk.resume_account(AccountId(account_id), by)
    except NoSuchLane:
        raise not_found("account") from None


async def _account(parts: Parts, body: FlattenIn | ReconcileIn | None) -> AccountId | None:
    """The one account that is meant, or None for all. A name nobody knows must not read as "nothing to do"."""
    if body is None or body.account_id is None:
        return None
    if all(row.id != body.account_id for row in await parts.database.read(accounts.every)):
        raise not_found("account")
    return AccountId(body.account_id)
