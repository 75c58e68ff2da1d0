"""All the commands, and what becomes of an error: one line with the remedy, and an exit code."""

from __future__ import annotations

import os
import traceback
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from metaloom.cli import (
    alias,
    custody,
    exchange,
    find,
    key,
    learners,
    lineage,
    listing,
    models,
    plugins,
    publish,
    sharing,
    show,
    upkeep,
    verify,
)
from metaloom.cli.output import complain
from metaloom_registry.errors import MetaloomError

EXIT_REFUSED = 1
EXIT_INTERRUPTED = 130


class Commands(TyperGroup):
    """The group of all commands, in the order they were added; errors end here."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            complain("interrupted; nothing half-done was kept")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except MetaloomError as error:
            complain(str(error), _traceback(ctx, error))
            raise typer.Exit(EXIT_REFUSED) from None
        except BrokenPipeError:
            raise  # the reader went away; there is nobody to tell
        except Exception as error:
            if isinstance(error, typer.Abort) or hasattr(error, "exit_code"):
                raise  # an exit, or a mistake in the command line that typer explains
            complain(
                f"{type(error).__name__}: {error}; set METALOOM_TRACEBACK=1 to see where",
                _traceback(ctx, error),
            )
            raise typer.Exit(EXIT_REFUSED) from None


def _traceback(ctx: Any, error: Exception) -> str | None:
    """The traceback, where it was asked for."""
    if not (ctx.params.get("show_traceback") or os.environ.get("METALOOM_TRACEBACK", "0") != "0"):
        return None
    return "".join(traceback.format_exception(error))


app = typer.Typer(
    cls=Commands,
    name="metaloom",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"metaloom {version('metaloom')}")
        raise typer.Exit


@app.callback(
    epilog="The library is the folder ~/.metaloom, or what --home or METALOOM_HOME says. "
    "Begin with [bold]metaloom demo[/bold]."
)
def metaloom(
    show_traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where an error came from.")
    ] = False,
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print which Metaloom this is.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Publish trained modules and programs; weave them into models for new few-shot tasks."""
    del show_traceback, show_version


_FIND, _USE, _KEEP, _ABOUT = "Find", "Solve and use", "Publish and keep", "About"

app.command("list", rich_help_panel=_FIND)(listing.list_blocks)
app.command("show", rich_help_panel=_FIND)(show.show)
app.command("search", rich_help_panel=_FIND)(find.search)
app.command("fits", rich_help_panel=_FIND)(find.fits)
app.command("lineage", rich_help_panel=_FIND)(lineage.lineage)
app.command("solve", rich_help_panel=_USE)(models.solve)
app.command("run", rich_help_panel=_USE)(models.run)
app.command("adapt", rich_help_panel=_USE)(models.adapt)
app.command("init", rich_help_panel=_KEEP)(upkeep.init)
app.command("publish", rich_help_panel=_KEEP)(publish.publish)
app.command("import", rich_help_panel=_KEEP)(exchange.import_)
app.command("export", rich_help_panel=_KEEP)(exchange.export)
app.command("push", rich_help_panel=_KEEP)(sharing.push)
app.command("pull", rich_help_panel=_KEEP)(sharing.pull)
app.command("alias", rich_help_panel=_KEEP)(alias.alias)
app.command("yank", rich_help_panel=_KEEP)(custody.yank)
app.command("deprecate", rich_help_panel=_KEEP)(custody.deprecate)
app.command("tombstone", rich_help_panel=_KEEP)(custody.tombstone)
app.add_typer(custody.app, rich_help_panel=_KEEP)
app.command("verify", rich_help_panel=_KEEP)(verify.verify)
app.command("repair", rich_help_panel=_KEEP)(upkeep.repair)
app.command("gc", rich_help_panel=_KEEP)(upkeep.gc)
app.add_typer(key.app, rich_help_panel=_KEEP)
app.command("learners", rich_help_panel=_ABOUT)(learners.learners)
app.command("doctor", rich_help_panel=_ABOUT)(upkeep.doctor)
app.command("plugins", rich_help_panel=_ABOUT)(plugins.plugins)
app.command("demo", rich_help_panel=_ABOUT)(plugins.demo)


def main() -> None:
    """The console script `metaloom`."""
    app()
