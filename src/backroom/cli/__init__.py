"""The `backroom` command: what people type. Thin: it wires, asks and prints."""

import gc
import sys
from collections.abc import Callable

YOUNG_OBJECTS = 50_000  # what a start makes stays: to look for garbage in it is a tenth of its time


def main() -> None:
    gc.set_threshold(YOUNG_OBJECTS)
    arguments = sys.argv[1:]
    if arguments[:1] == ["test-server"]:
        from backroom.cli.plain_call import plain_call  # noqa: PLC0415  it imports a server's parts

        asked = plain_call(arguments)
        if asked is not None:
            _serve(asked.serve)
            return
    from backroom.cli.app import run_typed  # noqa: PLC0415  after that: it imports much

    run_typed()


def _serve(serve: Callable[[], None]) -> None:
    from backroom.domain.errors import BackroomError  # noqa: PLC0415

    try:
        serve()
    except BackroomError as error:
        from backroom.cli.app import refuse  # noqa: PLC0415

        refuse(error)


__all__ = ["main"]
