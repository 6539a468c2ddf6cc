"""The `backroom` command: what people type. Thin: it wires, asks and prints."""

import gc

YOUNG_OBJECTS = 50_000  # what a start makes stays: to look for garbage in it is a tenth of its time


def main() -> None:
    gc.set_threshold(YOUNG_OBJECTS)
    from backroom.cli.app import run_typed  # noqa: PLC0415  after that: it imports much

    run_typed()


__all__ = ["main"]
