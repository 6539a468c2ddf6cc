"""Named SQL blocks of queries/*.sql (ADR 0006 says why no library does this)."""

import re
from pathlib import Path
from types import SimpleNamespace

_HEADING = re.compile(r"^-- (\w+) --\n", re.MULTILINE)


def load(name: str) -> SimpleNamespace:
    """The blocks of `queries/NAME.sql`, each an attribute that holds its text."""
    text = Path(__file__).with_name("queries").joinpath(f"{name}.sql").read_text("utf-8")
    parts = _HEADING.split(text)[1:]
    return SimpleNamespace(**{parts[i]: parts[i + 1].strip() for i in range(0, len(parts), 2)})
