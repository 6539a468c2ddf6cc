"""Groups of commands that are imported when one of them is asked for."""

from collections.abc import MutableMapping
from functools import cache
from importlib import import_module
from typing import Any

import typer.main
from typer.core import TyperGroup


def loaded_when_asked(module: str) -> type[TyperGroup]:
    """A group with the commands of the Typer named `app` in `module`.

    Its name and its help, all that the list of commands shows, are known without.
    """

    @cache
    def load() -> MutableMapping[str, Any]:
        return typer.main.get_group(import_module(module).app).commands

    class Group(TyperGroup):
        @property
        def commands(self) -> MutableMapping[str, Any]:
            return load()

        @commands.setter
        def commands(self, none: MutableMapping[str, Any]) -> None:
            """TyperGroup sets those that it was given."""

    return Group
