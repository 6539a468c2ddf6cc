"""The `backroom` command: what people type. Thin: it wires, asks and prints."""

from backroom.cli.app import main

__all__ = ["main"]
