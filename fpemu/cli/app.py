"""The subcommands of `fpemu`; a command's module is imported when the command runs or help lists it."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Container
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

import fpemu
from fpemu.files.boundary import visible
from fpemu.formats.lookup import near

__all__ = ["COMMANDS", "app"]

# Each is the name of a function and of its module.
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
    """A command whose arguments may be negative numbers (-1.5, -inf, -0x1p-3, -(1 + 2)).

    An option with one value is refused if it appears twice with different values.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        typer_options = [option for option in self.params if isinstance(option, TyperOption)]
        options = {name: option for option in typer_options for name in (*option.opts, *option.secondary_opts)}
        words: list[str] = []
        given: dict[str | None, object] = {}
        rest = iter(args)
        for word in rest:
            name, value = _option_of(word, options)
            option = options.get(name)
            if option is None:
                # No option begins with the minus sign U+2212; the commands turn it back.
                words.append("\u2212" + word[1:] if _NEGATIVE.fullmatch(word) else word)
                if word == "--":
                    words += rest
                continue
            words.append(word)
            if not option.is_flag and value is None and (value := next(rest, None)) is not None:
                words.append(value)  # it may begin with "-"
            setting = name in option.secondary_opts if option.is_flag else value
            if not option.multiple and given.setdefault(option.name, setting) != setting:
                ctx.fail(f"{name} is used twice, with different values: it takes one")
        return super().parse_args(ctx, words)


def _option_of(word: str, options: Container[str]) -> tuple[str, str | None]:
    """The name of the option in a word, and its value if the same word has it."""
    if word.startswith("--"):
        name, sign, value = word.partition("=")
        return name, value if sign else None
    name, value = word[:2], word[2:]
    return (name, value or None) if name in options else (word, None)


def _ungrouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command with each parameter that is a named tuple of options replaced by these options, for typer."""
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if hasattr(hint, "_field_defaults")}
    parameters = []
    for name, parameter in inspect.signature(command).parameters.items():
        options = groups[name]._field_defaults if name in groups else {name: parameter.default}
        types = get_type_hints(groups[name], include_extras=True) if name in groups else hints
        parameters += [
            inspect.Parameter(option, parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=types[option])
            for option, default in options.items()
        ]

    def ungrouped(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{option: values.pop(option) for option in group._fields})
        command(**values)

    ungrouped.__doc__, ungrouped.__annotations__ = command.__doc__, {}
    ungrouped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return ungrouped


class Commands(TyperGroup):
    """The commands; each is imported when it is requested."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:  # it may contain names from files
            error.message = visible(error.message)
            raise

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            ctx.fail(f"no command {cmd_name!r}: there are {', '.join(COMMANDS)}{near(cmd_name, list(COMMANDS))}")
        if cmd_name not in self.commands:
            module = importlib.import_module(f"fpemu.cli.{cmd_name}")
            single = typer.Typer(add_completion=False, rich_markup_mode="rich")
            single.command(cmd_name, cls=Command, no_args_is_help=False)(_ungrouped(getattr(module, cmd_name)))
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


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"fpemu {fpemu.__version__}")
        raise typer.Exit


@app.callback()
def fpemu_command(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Bit-exact emulation of number formats: their values, their rounding, the cost of a cast.

    A format is a registered name ("float8_e4m3fn", "bf16", "int4", "binary8p4se") or a description ("e5m10", "q3.12").

    For example:

        fpemu demo

        fpemu compare float16 bfloat16 float8_e4m3fn

        fpemu inspect 0.1 -f e5m2

        fpemu calc "1.5 * 3.25 + 0.1" -f bfloat16

        fpemu report weights.npy -f bfloat16 -f float8_e4m3fn
    """
