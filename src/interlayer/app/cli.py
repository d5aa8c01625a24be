"""The entry point of the command line; a command is imported when it is called."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from interlayer.errors import InputError

COMMANDS: Mapping[str, tuple[str, str]] = {
    "restore": (
        "restore:restore_photos",
        "Restore damaged photos: faces by the generator, all else by classical methods.",
    ),
    "recover": (
        "commands:recover",
        "Measure photos and recover them, or recover from given measurements.",
    ),
    "rerun": (
        "commands:rerun",
        "Repeat a recovery with the same flags, inputs and threads, and compare the pictures.",
    ),
    "imagine": (
        "imagine:imagine_class",
        "Draw a class that a classifier knows with a generator that never saw it.",
    ),
    "demo": (
        "commands:demo",
        "Serve a web page to try it on: paint a mask and watch the face come back.",
    ),
    "doctor": (
        "doctor:examine_installation",
        "Look at this installation: versions, device, memory, cache, extras, a self-test.",
    ),
    "bench": ("studies:app", "Studies of many images, tasks and methods."),
    "tasks": ("commands:tasks", "List the ways to measure a photo."),
    "generate": ("commands:generate", "Draw images from the generator, one for each seed."),
    "pull": ("commands:pull", "Bring named weights into the cache."),
    "inspect": ("commands:inspect", "Describe a weights file, and try whether it draws."),
    "convert": (
        "commands:convert",
        "Write a checkpoint as .safetensors; nothing in it is executed.",
    ),
    "train-prior": (
        "train_prior:train_prior_file",
        "Learn a prior of layers from the generator's own samples, for recover --method sgilo.",
    ),
}
"""Each command's place in this folder and the first line of its help."""


class Commands(TyperGroup):
    """A group whose commands are imported when they are called, and not for its own help."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, known, rest = super().resolve_command(ctx, args)
        return name, imported(name) if name and known else known, rest


def imported(name: str) -> Any:
    """The command of a name, as Typer runs it."""
    module, attribute = COMMANDS[name][0].split(":")
    target = getattr(import_module(f"interlayer.app.{module}"), attribute)
    if not isinstance(target, typer.Typer):
        function, target = target, typer.Typer(add_completion=False)
        target.command(name)(function)
    command = typer.main.get_command(target)
    command.name = name
    return command


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Recover images from few or corrupted measurements with a generator as the prior.",
)


def main() -> None:
    """Entry point: a user's mistake becomes one sentence and exit status 2."""
    try:
        app()
    except (InputError, KeyboardInterrupt) as end:
        from interlayer.app.console import INTERRUPTED, say

        if isinstance(end, InputError):
            say(f"error: {end}")
            sys.exit(2)
        say("interrupted before there was anything to keep")
        sys.exit(INTERRUPTED)


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        print(f"interlayer {version('interlayer')}")
        raise typer.Exit


@app.callback()
def set_up(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Set up what every command needs."""
    from interlayer.memory import keep_freed_memory

    keep_freed_memory()


def _stub() -> None:
    """Stand for a command until it is imported."""


for name, (_, line) in COMMANDS.items():
    app.command(name, help=line)(_stub)
