"""The command line. Commands are thin: options in, one request to the engine, a table or JSON out.

Exit codes: 0 done, 1 refused or failed (the reason on stderr, one line), 2 wrong usage or a setting that cannot
be used.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from justtrades import __version__, settings
from justtrades.cli import (
    acting,
    connections,
    contracts,
    database,
    explaining,
    keys,
    moving,
    notify,
    paper,
    reading,
    recorders,
    replaying,
)
from justtrades.cli.errors import Failed, Misused

__all__ = ["app", "run"]

# Typer 0.29 carries a copy of click, older ones use click itself: both are reached by what Typer gives out.
_ClickError: type[Any] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="justtrades",
    help="TradingView alerts become protected, closed and recorded trades at Tradovate.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"justtrades {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    """TradingView alerts become protected, closed and recorded trades at Tradovate."""


@app.command()
def serve() -> None:
    """Run the engine."""
    loaded = settings.load()
    gc.disable()  # or it would look again and again at modules that are there to stay; see `app.serve`
    from justtrades.app import serve as run_engine

    raise typer.Exit(run_engine(loaded))


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server and its pages up.")] = False,
) -> None:
    """Sample alerts trade on the embedded paper broker."""
    from justtrades.demo import run as run_demo

    raise typer.Exit(run_demo(keep))


app.command("import")(moving.import_)
for _command in (
    *(reading.signals, reading.positions, reading.trades, reading.orders, reading.audit),
    contracts.contracts,
    explaining.explain,
    replaying.replay,
    *(acting.close, acting.flatten, acting.resume, acting.reconcile),
    *(paper.paper, paper.rehearse),
):
    app.command()(_command)
app.add_typer(database.app, name="db")
app.add_typer(connections.app, name="connection")
app.add_typer(reading.accounts, name="account")
app.add_typer(recorders.app, name="recorder")
app.add_typer(acting.kill, name="kill")
app.add_typer(keys.app, name="key")
app.add_typer(notify.app, name="notify")


def run(arguments: Sequence[str] | None = None) -> int:
    """One command; its exit code."""
    _survive_narrow_encodings()
    try:
        code = app(args=arguments, prog_name="justtrades", standalone_mode=False)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except _ClickError as error:
        return _misused(error)
    except typer.Abort:
        return _say("stopped", 1)
    except Failed as error:
        return _say(str(error), 1)
    except (settings.BadSetting, Misused) as error:
        return _say(str(error), 2)
    return code if isinstance(code, int) else 0


def _misused(error: Any) -> int:
    """Wrong usage as one line; a group without a command is told which there are."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return 2
    told = error.format_message().rstrip(".").replace("Value error, ", "")
    where = f" (see {error.ctx.command_path} --help)" if getattr(error, "ctx", None) else ""
    return _say(f"{told[:1].lower()}{told[1:]}{where}", 2)


def _say(sentence: str, code: int) -> int:
    print(f"justtrades: {' '.join(sentence.split())}", file=sys.stderr)
    return code


def _survive_narrow_encodings() -> None:
    """A console that cannot show a character shows another; it is no reason to fail."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
