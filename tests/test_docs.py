"""Claims about the documents: what they say of settings, commands, alerts and files is what the code does.

Blocks of commands, code spans and tables are read out of the Markdown; whatever is named there must exist.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic import SecretStr
from typer.testing import CliRunner

from justtrades import __version__, cli
from justtrades.api import (
    acts,
    alerts,
    connections,
    contracts,
    docs,
    explain,
    health,
    history,
    keys,
    moving,
    notifications,
    recorders,
    status,
)
from justtrades.api.schemas import RecorderIn
from justtrades.positions.model import Outcome
from justtrades.positions.recorder import Reading
from justtrades.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = PAGES[0].read_text("utf-8")

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")

# What TradingView fills in before it sends.
FILLED_IN = {
    "{{ticker}}": "MNQ1!",
    "{{close}}": "24500.25",
    "{{exchange}}": "CME_MINI",
    "{{interval}}": "5",
    "{{timenow}}": "2026-11-23T14:30:05Z",
    "{{strategy.order.action}}": "buy",
    "{{strategy.order.contracts}}": "1",
    "{{strategy.market_position}}": "long",
    "{{strategy.market_position_size}}": "2",
    "{{strategy.prev_market_position}}": "long",
    "{{strategy.prev_market_position_size}}": "1",
    "{{strategy.position_size}}": "2",
}


@dataclass(frozen=True, slots=True)
class Block:
    language: str
    text: str


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def blocks(text: str) -> list[Block]:
    return [Block(found[1], found[2]) for found in FENCE.finditer(text)]


def spans(text: str) -> list[str]:
    return SPAN.findall(FENCE.sub("", text))


def command_texts() -> Iterator[str]:
    """Everything a reader could type: lines of shell blocks, and code spans."""
    for page in PAGES:
        for block in blocks(text_of(page)):
            if block.language in ("sh", "powershell"):
                yield from (line.replace("\\", "/") for line in block.text.splitlines())
        yield from spans(text_of(page))


def command_lines(program: str) -> set[tuple[str, ...]]:
    """The arguments of each line that runs `program`, whatever stands before it (a folder, settings, docker)."""
    found = set()
    for text in command_texts():
        if f"{program} " in text:
            words = shlex.split(text, comments=True)
            places = [i for i, word in enumerate(words) if word.rpartition("/")[2] == program]
            if words[:2] in (["docker", "build"], ["docker", "logs"]):
                continue  # there it is the name of the image or the container
            found |= {tuple(words[places[-1] + 1 :])} if places else set()
    return found - {()}


def table(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading of the README, without its own head."""
    below = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in below.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in rows[2:]]


def code(cell: str) -> str:
    return cell.strip("`")


def written(value: Any) -> str:
    """A default as the tables write it."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case Enum():
            return str(value.value)
        case "" | []:
            return "empty"
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def defaults(model: Any) -> dict[str, str]:
    return {
        name: "required" if field.is_required() else written(field.default)
        for name, field in model.model_fields.items()
    }


def settings_with_defaults() -> dict[str, str]:
    return {PREFIX + name.upper(): value for name, value in defaults(Settings).items()}


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_table_of_settings_is_every_setting_with_its_default() -> None:
    assert {code(name): code(default) for name, default, _ in table("Settings")} == settings_with_defaults()


def test_every_setting_named_anywhere_exists() -> None:
    elsewhere = [ROOT / ".env.example", ROOT / "compose.yaml", ROOT / "Dockerfile"]
    named = {name for page in [*PAGES, *elsewhere] for name in re.findall(rf"{PREFIX}\w+", text_of(page))}
    assert named <= settings_with_defaults().keys()


def test_the_example_of_an_env_file_shows_every_setting_with_its_default_and_no_secret() -> None:
    lines = re.findall(rf"^# ({PREFIX}\w+)=(.*)$", text_of(ROOT / ".env.example"), re.MULTILINE)
    shown = {name: value or "nothing" for name, value in lines}
    expected = {n: "nothing" if v in ("none", "empty") else v for n, v in settings_with_defaults().items()}
    assert shown == expected
    secrets = [name for name, field in Settings.model_fields.items() if SecretStr in _types(field.annotation)]
    assert [name for name in secrets if shown[PREFIX + name.upper()] != "nothing"] == []


def _types(annotation: Any) -> set[Any]:
    parts = getattr(annotation, "__args__", ())
    return {annotation} | {found for part in parts for found in _types(part)}


# ── commands ─────────────────────────────────────────────────────────────────────────────────────────────


def test_every_make_target_named_exists() -> None:
    phony = re.search(r"^\.PHONY:(.*)$", text_of(ROOT / "Makefile"), re.MULTILINE)
    assert phony is not None
    named = {arguments[0] for arguments in command_lines("make")}
    assert {"demo", "test"} <= named <= set(phony[1].split())


@pytest.mark.parametrize("arguments", sorted(command_lines("justtrades")), ids=" ".join)
def test_every_command_line_named_is_understood(arguments: tuple[str, ...]) -> None:
    """Parsed whole, with its arguments and options, down to the command itself; nothing is run."""
    command: Any = typer.main.get_command(cli.app)
    words = list(arguments)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    with command.make_context("justtrades", words):
        pass


@pytest.mark.parametrize("path", sorted({arguments[:1] for arguments in command_lines("justtrades")}), ids=" ".join)
def test_every_command_named_explains_itself(path: tuple[str, ...]) -> None:
    assert CliRunner().invoke(cli.app, [*path, "--help"]).exit_code == 0


def test_every_command_there_is_stands_in_a_document() -> None:
    def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        if not hasattr(command, "commands"):
            yield path
        for name, below in getattr(command, "commands", {}).items():
            yield from leaves(below, (*path, name))

    named = command_lines("justtrades")
    missing = [
        path for path in leaves(typer.main.get_command(cli.app)) if not any(n[: len(path)] == path for n in named)
    ]
    assert missing == []


# ── alerts and rules ─────────────────────────────────────────────────────────────────────────────────────


def filled_in(message: str) -> bytes:
    """As TradingView would send it. A placeholder that is not listed above stays, and is refused."""
    for placeholder, value in FILLED_IN.items():
        message = message.replace(placeholder, value)
    return message.encode()


JSON_BLOCKS = [block.text for page in PAGES for block in blocks(text_of(page)) if block.language == "json"]
ACTION = re.compile(r'"(action|data|order_action|isBuy)"')
WORDINGS = [block.text for page in PAGES for block in blocks(text_of(page)) if block.language == "alert"]
MESSAGES = [text for text in JSON_BLOCKS if ACTION.search(text)] + WORDINGS


@pytest.mark.parametrize("message", MESSAGES)
def test_every_message_is_an_order_that_a_late_repeat_is_told_from(message: str) -> None:
    reading = alerts.read(alerts.parse(filled_in(message)))
    assert isinstance(reading, Reading)
    assert reading.repeat_key is not None
    assert reading.ticker == "MNQ1!"
    assert reading.warnings == ()


def test_there_is_a_message_for_every_format() -> None:
    read = [alerts.read(alerts.parse(filled_in(message))) for message in MESSAGES]
    shown = {reading.dialect for reading in read if isinstance(reading, Reading)}
    listed = [code(row[0]) for row in table("Alert formats")]
    assert shown == set(listed) == set(alerts.NAMES) - {alerts.AUTO}


def test_every_other_json_example_is_a_recorder() -> None:
    rest = [text for text in JSON_BLOCKS if text not in MESSAGES]
    assert rest
    for text in rest:
        RecorderIn.model_validate_json(text)


def test_alerts_on_the_command_line_are_orders_too() -> None:
    bodies = [arguments[arguments.index("-d") + 1] for arguments in command_lines("curl")]
    assert bodies
    for body in bodies:
        assert isinstance(alerts.read(alerts.parse(body.encode())), Reading)


def test_the_table_of_recorder_settings_is_every_field_with_its_default() -> None:
    assert {code(name): code(default) for name, default, _ in table("Recorder settings")} == defaults(RecorderIn)


def test_the_table_of_outcomes_is_every_outcome_best_first() -> None:
    assert [code(name) for name, _ in table("Outcomes")] == [outcome.value for outcome in Outcome]


# ── everything else that is named ────────────────────────────────────────────────────────────────────────


def test_every_route_named_exists() -> None:
    routers = (health.router, docs.router)
    api = (
        acts.router,
        explain.router,
        connections.router,
        contracts.router,
        history.router,
        keys.router,
        moving.router,
        recorders.router,
        notifications.router,
        status.router,
    )
    there = {("POST", "/webhook/{token}")}
    for prefix, group in (("", routers), ("/api/v1", api)):
        for router in group:
            for route in router.routes:
                methods, path = getattr(route, "methods", ()), getattr(route, "path", "")
                there |= {(method, prefix + path) for method in methods}
    spoken = [span for page in PAGES for span in spans(text_of(page))]
    named = {tuple(span.split(" ")) for span in spoken if re.fullmatch(r"(GET|POST|PUT|PATCH|DELETE) /\S+", span)}
    assert named
    assert named <= there


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    targets = [link.partition("#")[0] for link in LINK.findall(text_of(page)) if "://" not in link]
    assert [target for target in targets if target and not (page.parent / target).exists()] == []


def test_every_decision_has_a_date_and_a_reason() -> None:
    decisions = table("Decisions")
    assert decisions
    for date, decision, reason in decisions:
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", date), decision
        assert decision
        assert reason


def test_the_changelog_tells_of_this_version() -> None:
    assert f"## [{__version__}]" in text_of(ROOT / "CHANGELOG.md")
