"""The subcommands of `fpemu`; a module is imported when its command runs, or when help lists it."""

from __future__ import annotations

import importlib
import re
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import fpemu
from fpemu.boundary import visible
from fpemu.knobs import near

__all__ = ["COMMANDS", "app"]

# Each is a function of its own name in a module of its own name.
COMMANDS = (
    "demo",
    "formats",
    "info",
    "compare",
    "inspect",
    "calc",
    "table",
    "error",
    "cast",
    "report",
    "vectors",
    "audit",
    "probe",
    "doctor",
)

_NEGATIVE = re.compile(r"-(\d|\.\d|inf|nan|\(|\w+\().*", re.IGNORECASE)


class Command(TyperCommand):
    """A command that takes negative numbers (-1.5, -inf, -0x1p-3, -(1 + 2)) as arguments, not as options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        # The minus sign U+2212 is no option's first character; the commands turn it back.
        return super().parse_args(ctx, ["\u2212" + a[1:] if _NEGATIVE.fullmatch(a) else a for a in args])


class Commands(TyperGroup):
    """The table of commands, each loaded when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:  # names out of files may be in it
            error.message = visible(error.message)
            raise

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            ctx.fail(f"no command {cmd_name!r}: there are {', '.join(COMMANDS)}{near(cmd_name, list(COMMANDS))}")
        if cmd_name not in self.commands:
            module = importlib.import_module(f"fpemu.cli.{cmd_name}")
            single = typer.Typer(add_completion=False, rich_markup_mode="rich")
            single.command(cmd_name, cls=Command, no_args_is_help=False)(getattr(module, cmd_name))
            self.commands[cmd_name] = typer.main.get_command(single)
        return self.commands[cmd_name]


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fpemu {fpemu.__version__}")
        raise typer.Exit


@app.callback()
def fpemu_command(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Bit-exact emulation of number formats: what they hold, what rounds how, what a cast costs.

    A format is a name ("float8_e4m3fn", "bf16", "int4", "binary8p4se"), or describes itself ("e5m10", "q3.12").

    For example:

        fpemu demo

        fpemu compare float16 bfloat16 float8_e4m3fn

        fpemu inspect 0.1 -f e5m2

        fpemu calc "1.5 * 3.25 + 0.1" -f bfloat16

        fpemu report weights.npy -f bfloat16 -f float8_e4m3fn
    """
