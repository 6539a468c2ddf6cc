"""Which instance is meant: by id, by name, or because there is only one."""

import re
from typing import Any, Final

from backroom.cli.calls import Calls
from backroom.cli.exits import WrongInstance
from backroom.cli.sentences import tell

NAMES_MOST: Final = 10
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def chosen_instance(calls: Calls, named: str | None) -> str:
    """Raises WrongInstance."""
    if named is None:
        return _only(calls)
    return named if _ID.fullmatch(named) else _named(calls, named)


def _only(calls: Calls) -> str:
    found = calls.list_instances(include_failure="true")
    if len(found) == 1:
        return str(found[0]["instance_id"])
    if not found:
        raise WrongInstance(tell("no instances"))
    names: list[Any] = [instance["name"] for instance in found[:NAMES_MOST]]
    more = ", ..." if len(found) > NAMES_MOST else ""
    raise WrongInstance(tell("no instance", names=", ".join(names) + more))


def _named(calls: Calls, name: str) -> str:
    found = calls.list_instances(name=name, exact_match_name="true", include_failure="true")
    exact = [instance for instance in found if instance["name"] == name]
    if not exact:
        raise WrongInstance(tell("unknown instance", name=name))
    if len(exact) > 1:
        raise WrongInstance(tell("several instances", name=name, count=len(exact)))
    return str(exact[0]["instance_id"])
