"""The running engine's audit of its own books: when it tells, that it tells once, and that it ends nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from justtrades.app import engine
from justtrades.notices import Kind
from justtrades.selfaudit.auditor import TOLD_AT_ONCE, Examiner, SelfAudit
from justtrades.selfaudit.checks import CHECKS, Finding
from tests.api.world import START, Clock, world
from tests.desk.fakes import newest_schema
from tests.desk.test_app import settings

GAIN = Finding("I8", "trade t1 says gain 11, its fills make 10")
EXIT = Finding("I6", "a1 MNQZ6 is flat, and target o1 still works", certain=False)


@dataclass
class Books:
    """What each audit finds, one after the other, and whom that was told."""

    found: list[list[Finding] | Exception]
    told: list[tuple[Kind, str, str]] = field(default_factory=list)
    audit: SelfAudit = field(init=False)

    def __post_init__(self) -> None:
        self.audit = SelfAudit(self._next, 300, Clock(), lambda *news: self.told.append(news))

    def _next(self) -> tuple[list[Finding], int]:
        found = self.found.pop(0)
        if isinstance(found, Exception):
            raise found
        return found, 20

    async def look(self) -> list[str]:
        """What stands after one more audit."""
        await self.audit.look()
        return [f"{one.invariant}: {one.text}" for one in self.audit.report.findings]


async def test_what_is_certain_is_told_at_once_and_once(caplog: pytest.LogCaptureFixture) -> None:
    books = Books([[GAIN], [GAIN], [], [GAIN]])
    assert [await books.look() for _ in range(4)] == [[str(GAIN)], [str(GAIN)], [], [str(GAIN)]]
    assert books.told == [(Kind.ALARM, "the audit of the books found something (I8)", GAIN.text)]
    assert [record.message for record in caplog.records] == [f"the audit of the books found: {GAIN}"]


async def test_what_may_be_about_to_change_is_told_when_it_is_seen_twice_in_a_row() -> None:
    books = Books([[EXIT], [], [EXIT], [EXIT], [EXIT]])
    assert [await books.look() for _ in range(5)] == [[], [], [], [str(EXIT)], [str(EXIT)]]
    assert len(books.told) == 1


async def test_of_a_storm_of_findings_all_stand_and_only_some_are_sent_to_people() -> None:
    storm = [Finding("I8", f"trade {number} has no fill") for number in range(3 * TOLD_AT_ONCE)]
    books = Books([storm])
    assert len(await books.look()) == len(storm)
    assert len(books.told) == TOLD_AT_ONCE


async def test_an_audit_that_fails_is_told_in_the_report_and_the_next_goes_on() -> None:
    books = Books([[GAIN], ValueError("no such thing"), []])
    await books.look()
    assert await books.look() == [str(GAIN)]
    assert books.audit.report.error == "ValueError: no such thing"
    assert await books.look() == []
    assert books.audit.report.error is None


async def test_an_audit_that_misses_what_it_looks_for_fails_like_any_other_and_does_not_wait_for_ever() -> None:
    books = Books([StopIteration(), []])
    async with asyncio.timeout(10):
        assert await books.look() == []
    assert books.audit.report.error == "RuntimeError: something looked for was not there"
    await books.look()
    assert books.audit.report.error is None


async def test_the_status_and_the_metrics_show_the_last_audit() -> None:
    books = Books([[GAIN]])
    async with world(parts={"self_audit": books.audit}) as here:
        before = (await here.get("/status")).json()
        assert before["self_audit"] | {"every_seconds": 300, "at": None, "checks": 0} == before["self_audit"]
        await books.look()
        told = (await here.get("/status")).json()
        assert (told["version"], told["ready"], told["kill_switch"]) == ("1.2.3", True, False)
        at = START.isoformat().replace("+00:00", "Z")
        finding = {"invariant": "I8", "text": GAIN.text, "since": at}
        shown = told["self_audit"]
        assert (shown["at"], shown["checks"], shown["findings"], shown["error"]) == (at, 20, [finding], None)
        metrics = (await here.http.get("/metrics", headers=here.admin)).text
        assert "justtrades_self_audit_findings 1\n" in metrics
        assert f"justtrades_self_audit_at_seconds {START.timestamp()}\n" in metrics


async def test_the_status_says_when_the_engine_does_not_audit_itself() -> None:
    async with world() as here:
        assert (await here.get("/status")).json()["self_audit"] is None
        assert "self_audit" not in (await here.http.get("/metrics", headers=here.admin)).text


async def test_a_running_engine_audits_its_database_while_it_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "engine.db").write_bytes(newest_schema())
    async with engine(settings(tmp_path, self_audit_seconds=0.01)) as running:
        audit = running.self_audit
        assert audit is not None
        assert isinstance(audit.examine, Examiner)
        async with asyncio.timeout(20):
            while audit.report.at is None:  # noqa: ASYNC110 - it runs by itself; it can only be asked
                await asyncio.sleep(0.01)
        assert (audit.report.error, audit.report.findings) == (None, ())
        assert audit.report.checks == len(CHECKS) + 2


async def test_nought_seconds_switch_it_off(tmp_path: Path) -> None:
    (tmp_path / "engine.db").write_bytes(newest_schema())
    async with engine(settings(tmp_path, self_audit_seconds=0)) as running:
        assert running.self_audit is None


async def test_a_database_that_cannot_be_read_is_told_and_ends_nothing(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "empty.db")):
        audit = SelfAudit(Examiner(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}", Clock()), 300, Clock())
    await audit.look()
    assert audit.report.error is not None
    assert "no such table" in audit.report.error
