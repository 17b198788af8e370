"""Claims about the tree itself: what is written in it, what it is locked to, and who may import whom."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.project

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "justtrades"
SOURCES = sorted(SOURCE.rglob("*.py"))
LOCKS = ["requirements.lock", "requirements-build.lock", "requirements-dev.lock"]

# Written so that neither pattern finds itself here.
INDEX_HOST = re.compile(r"pypi[.]org|pythonhoste[d]|index-ur[l]|find-link[s]|/simpl[e]/|[/]pypi[/]")
MACHINE_PATH = re.compile(r"(?<![\w.:~-])[/](?:work|root|home[/]\w+|Users[/]\w+)[/]")

LOCK_LINE = re.compile(
    r"""
      \#.*                                                              # a remark
    | [a-z0-9][a-z0-9-]*==[\w.]+ (?:[ ];[ ][\w\s.'"=<>!()]+)? [ ]\\     # a pin, perhaps only for some systems
    | [ ]{4}--hash=sha256:[0-9a-f]{64} (?:[ ]\\)?                       # what it must hash to
    """,
    re.VERBOSE,
)


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `command` at the top of the tree, free of what an outer `make` hands down."""
    env = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    return subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def passes(*command: str | Path) -> None:
    done = run(*command)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}", pytrace=False)


def beside_python(name: str) -> Path | None:
    """A program that was installed into the environment that runs the tests."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    return Path(found) if found else None


def all_files() -> Iterator[tuple[str, bytes]]:
    """Every file that is, or could next be, committed."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if listed.returncode != 0:
        pytest.skip("not a git checkout: nothing says which files belong to the tree")
    for name in filter(None, listed.stdout.split("\0")):
        yield name, (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""


def written_files() -> Iterator[tuple[str, str]]:
    for name, content in all_files():
        if b"\0" not in content:
            yield name, content.decode("utf-8")


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return [(node.module or "").partition(".")[0]]
    return []


def unguarded(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below `node` that neither an `if`, a `try` nor a `with suppress(...)` stands around."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.If | ast.Try | ast.With):
            yield child
            yield from unguarded(child)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# ---------------------------------------------------------------- the tree


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "format", "--check", "--output-format=concise"),
        ("ruff", "check", "--output-format=concise"),
        ("mypy", "--strict", "src", "tests"),
    ],
    ids=["format", "lint", "types"],
)
def test_the_tree_is_clean(command: tuple[str, ...]) -> None:
    passes(sys.executable, "-m", *command)


def test_the_arrows_of_the_house_hold() -> None:
    lint_imports = beside_python("lint-imports")
    assert lint_imports, "import-linter belongs to the development environment"
    passes(lint_imports, "--no-logo")


def test_positions_never_read_a_clock() -> None:
    readings = {"now", "utcnow", "today", "uuid1", "uuid4"}
    found = [
        f"{named(path)}:{node.lineno}"
        for path in sorted((SOURCE / "positions").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in readings
        if isinstance(node.value, ast.Name) and node.value.id in {"datetime", "date", "dt", "uuid"}
    ]
    assert found == []


def test_nothing_needs_what_windows_or_a_lean_install_lacks() -> None:
    elsewhere = {"asyncpg", "fcntl", "grp", "pwd", "resource", "termios", "uvloop"}
    found = [
        f"{named(path)}: import {name}"
        for path in SOURCES
        for node in unguarded(ast.parse(path.read_text("utf-8")))
        for name in imported(node)
        if name in elsewhere
    ]
    assert found == []


def test_signals_are_asked_for_only_where_the_system_has_them() -> None:
    found = [
        f"{named(path)}:{node.lineno}"
        for path in SOURCES
        for node in unguarded(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in {"add_signal_handler", "SIGHUP", "SIGKILL", "SIGUSR1"}
    ]
    assert found == []


@pytest.mark.parametrize("pattern", [INDEX_HOST, MACHINE_PATH], ids=["index hosts", "paths of a machine"])
def test_no_file_names_where_it_was_made(pattern: re.Pattern[str]) -> None:
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, content in written_files()
        for number, line in enumerate(content.splitlines(), start=1)
        if pattern.search(line)
    ]
    assert found == []


def test_every_file_is_text() -> None:
    """A database or its log that a test left behind would otherwise be committed unseen."""
    assert [name for name, content in all_files() if b"\0" in content] == []


def test_the_migrations_folder_never_shadows_the_library_it_is_named_after() -> None:
    assert not (ROOT / "alembic" / "__init__.py").exists()


# ---------------------------------------------------------------- what it is locked to


def pins(lock: str) -> dict[str, str]:
    """Name and marker → version."""
    lines = re.findall(r"^([a-z0-9-]+)==([\w.]+)(.*?) \\$", (ROOT / lock).read_text("utf-8"), re.MULTILINE)
    return {name + marker: version for name, version, marker in lines}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_names_versions_and_hashes_and_nothing_else(lock: str) -> None:
    lines = (ROOT / lock).read_text("utf-8").splitlines()
    assert [line for line in lines if not LOCK_LINE.fullmatch(line)] == []
    assert pins(lock)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock: str) -> None:
    blocks = re.split(r"^(?=[a-z0-9])", (ROOT / lock).read_text("utf-8"), flags=re.MULTILINE)[1:]
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("lock", LOCKS[:2])
def test_the_tests_run_on_what_the_engine_runs_on(lock: str) -> None:
    assert pins(lock).items() <= pins("requirements-dev.lock").items()


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    asked = project["project"]["dependencies"] + project["project"]["optional-dependencies"]["postgres"]
    names = {re.split(r"[\[<>=;\s]", line)[0] for line in asked}
    assert names <= {key.split(" ")[0] for key in pins("requirements.lock")}


# ---------------------------------------------------------------- how it is started and shipped


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed; README shows the way without it")
@pytest.mark.parametrize(
    "target", ["setup", "demo", "test", "check", "serve", "bench", "soak", "conformance", "lock", "clean"]
)
def test_make_knows_the_target(target: str) -> None:
    passes("make", "--dry-run", target, "SEEDS=1", "START=0")


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed; README shows the way without it")
@pytest.mark.parametrize("target", ["demo", "test"])
def test_one_command_is_enough_in_a_tree_without_an_environment(target: str) -> None:
    planned = run("make", "--dry-run", target, "VENV=.venv-that-is-not-there").stdout
    assert "-m venv .venv-that-is-not-there" in planned
    assert "--require-hashes" in planned


def test_ci_runs_what_a_newcomer_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert script.read_text("utf-8").splitlines()[-1] == "exec make --no-print-directory test"
    assert os.name == "nt" or os.access(script, os.X_OK)


def test_the_container_file_is_clean() -> None:
    hadolint = beside_python("hadolint")
    if hadolint is None:
        pytest.skip("hadolint has no wheel for this system")
    passes(hadolint, "Dockerfile")


def test_the_container_needs_no_particular_engine_to_build() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    assert re.findall(r"--mount|<<|^# syntax|--chmod|--link|/usr/local/bin/python", text, re.MULTILINE) == []


def test_the_container_runs_as_a_numbered_user_who_owns_only_data() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["10001:10001"]
    assert re.findall(r"^VOLUME (.*)$", text, re.MULTILINE) == ['["/data"]']
