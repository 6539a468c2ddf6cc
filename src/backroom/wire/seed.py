"""A seed from a file or a body, YAML or JSON; refused as a whole, with where it is wrong."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from backroom.domain.errors import InvalidInput
from backroom.domain.seed import Seed, SeedInstance, SeedKey, SeedTask
from backroom.operations.catalogue import CATALOGUE
from backroom.wire.flavors import FLAVORS, flavor_of

DEPTH_MOST: Final = 50  # three times what a seed has, with stream and document
ALIASES_MOST: Final = 20
_AT = re.compile(r"(.*) - at `(?:key in )?\$\.?(.*)`", re.DOTALL)


def decode_seed(content: bytes) -> Seed:
    """Raises InvalidInput; its parameter is the path of the wrong field, `seed` for none."""
    try:
        text = content.decode()
        if text.lstrip().startswith("{"):
            seed = msgspec.json.decode(text, type=Seed)
        else:
            seed = msgspec.convert(_yaml(text), Seed)
    except msgspec.ValidationError as error:
        found = _AT.fullmatch(str(error))
        why, where = (str(error), "") if found is None else found.groups()
        raise InvalidInput(where or "seed", why[:1].lower() + why[1:]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput("seed", f"can't be read: {error}") from None
    for where, problem in _problems(seed):
        raise InvalidInput(where, problem)
    return seed


def _yaml(text: str) -> Any:
    import yaml  # noqa: PLC0415  only seeds in YAML need it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _require_bounded(yaml.parse(text, loader))
        found = yaml.load(text, loader)  # noqa: S506  both are safe
    except yaml.YAMLError as error:
        raise InvalidInput("seed", f"is no YAML: {' '.join(str(error).split())}") from None
    return {} if found is None else found


def _require_bounded(events: Iterable[Any]) -> None:
    """The loader calls itself for what is nested, in C, and an alias of aliases has no end."""
    depth = aliases = 0
    for event in events:
        kind = type(event).__name__
        depth += kind.endswith("StartEvent") - kind.endswith("EndEvent")
        aliases += kind == "AliasEvent"
        if depth > DEPTH_MOST:
            raise InvalidInput("seed", f"is nested more than {DEPTH_MOST} deep")
        if aliases > ALIASES_MOST:
            raise InvalidInput("seed", f"has more than {ALIASES_MOST} aliases")


Problems = Iterator[tuple[str, str]]


def _problems(seed: Seed) -> Problems:
    keys: list[tuple[str, SeedKey]] = list(_numbered("keys", seed.keys))
    instances: list[tuple[str, SeedInstance]] = list(_numbered("instances", seed.instances))
    projects = list(_numbered("projects", seed.projects))
    for where, project in projects:
        keys += _numbered(f"{where}.keys", project.keys)
        instances += _numbered(f"{where}.instances", project.instances)
    yield from _repeated((f"{at}.access_key", key.access_key) for at, key in keys)
    yield from _repeated((f"{at}.name", project.name) for at, project in projects)
    yield from _repeated((f"{at}.id", project.id) for at, project in projects)
    yield from _repeated((f"{at}.id", instance.id) for at, instance in instances)
    tasks = [one for at, instance in instances for one in _numbered(f"{at}.tasks", instance.tasks)]
    yield from _repeated((f"{at}.id", task.id) for at, task in tasks)
    for where, instance in instances:
        yield from _problems_of_instance(where, instance)
    for where, task in tasks:
        yield from _problems_of_task(where, task)


def _problems_of_instance(where: str, instance: SeedInstance) -> Problems:
    flavor = flavor_of(instance.product_id)
    if flavor is None:
        yield (
            f"{where}.product_id",
            f"must be a family such as c6, a dot, and one of {', '.join(FLAVORS)}",
        )
    elif not flavor.brokers_min <= instance.broker_count <= flavor.brokers_max:
        yield f"{where}.broker_count", f"must be from {flavor.brokers_min} to {flavor.brokers_max}"
    topics = list(_numbered(f"{where}.topics", instance.topics))
    yield from _repeated((f"{at}.name", topic.name) for at, topic in topics)
    for at, topic in topics:
        if topic.replicas > instance.broker_count:
            yield f"{at}.replicas", f"must be at most the {instance.broker_count} brokers"


def _problems_of_task(where: str, task: SeedTask) -> Problems:
    operation = CATALOGUE.get(task.operation)
    if operation is None:
        yield f"{where}.operation", f"must be one of {', '.join(CATALOGUE)}"
        return
    steps = [step.name for step in operation.steps]
    if task.failed_step not in (None, *steps):
        yield f"{where}.failed_step", f"must be one of {', '.join(steps)}"
    if task.duration_s > task.ago_s:
        yield f"{where}.duration_s", "must not be more than ago_s: the task has ended"


def _numbered(where: str, found: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    return ((f"{where}[{number}]", one) for number, one in enumerate(found))


def _repeated(found: Iterable[tuple[str, str | None]]) -> Problems:
    seen: set[str] = set()
    for where, value in found:
        if value in seen:
            yield where, "is there twice"
        if value is not None:
            seen.add(value)
