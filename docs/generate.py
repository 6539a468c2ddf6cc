"""Makes the generated pages and blocks anew: `./run docs`. With --check it only says what is stale.

A page is a file of its own; a block stands in a hand-written page between two marker comments.
Nothing here depends on the time, the machine or the width of a terminal.
"""

import argparse
import asyncio
import importlib
import importlib.util
import inspect
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import typer.main

from backroom.api import errors as api_errors
from backroom.api.routes import Route
from backroom.bootstrap import Backroom, assemble
from backroom.cli.app import app
from backroom.domain import lifecycle
from backroom.domain.ids import InstanceId, ProjectId, TaskId, UserId
from backroom.domain.instance import InstanceStatus
from backroom.domain.lifecycle import TRANSITIONS
from backroom.domain.stamps import stamp
from backroom.domain.task import Kind, Outcome, State, StepState, TaskRecord
from backroom.environment import environment
from backroom.first_start import prepare
from backroom.operations.catalogue import CATALOGUE
from backroom.operations.operation import Operation
from backroom.settings import EmulatorSettings, Settings
from backroom.wire.error_codes import ErrorCode
from backroom.wire.tasks import status_of

ROOT = Path(__file__).resolve().parent.parent
NOTE = "<!-- Made by docs/generate.py (./run docs). Don't edit. -->"
SDK_OPERATIONS = 123  # of the Kafka API in the official Python SDK 3.1.219

_BLOCK = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

# What each setting means, and the flag of `backroom serve` that sets it.
SETTINGS: Mapping[str, tuple[str, str]] = {
    "data": ("--data", "the data folder; `$BACKROOM_DATA` or per user where the flag is missing"),
    "database": (
        "--database",
        "`sqlite:///PATH` or `postgresql://USER@HOST/NAME`; none means a file in the data folder",
    ),
    "host": ("--host", "the address to bind"),
    "port": ("--port", "0 takes any free one"),
    "is_plain_http": ("--http", "plain HTTP instead of TLS"),
    "role": ("--role", "`all`, `api` (no worker) or `worker` (no HTTP)"),
    "slots": (
        "--workers",
        "tasks that run at once in this process; an eighth more on idle instances",
    ),
    "is_empty": ("--empty", "make no instance on the first start"),
    "allows_generated_keys_anywhere": (
        "--i-know",
        "bind an address that others can reach although the generated keys are still there",
    ),
    "is_durable": ("", "a commit survives loss of power, not only a crash"),
    "region": ("", "the region's id; also the name of the first project"),
    "retention_days": ("--retention-days", "a record is cleared this long after its end; 0: never"),
    "keep_most": ("--keep-most", "ended tasks kept of one instance; 0: any number"),
    "emulator": (
        "--emulator",
        "for tests: virtual time and the controls under `/backroom/v1/emulator`",
    ),
    "limits": (
        "",
        "tasks that have not ended: 1,000 of one instance and kind, 200,000 of one project",
    ),
    "rate_limit_per_s": (
        "--rate-limit",
        "requests a second of one user in one project, as many at once; beyond: 429",
    ),
    "timings": ("", "how long the simulated brokers take, see below"),
    "kafka_timings": ("", "how long what is in them takes, see below"),
}

TIMINGS: Mapping[str, str] = {
    "broker_start_s": "until a broker is up, one after the other",
    "address_change_s": "until public addresses have changed",
    "broker_stop_s": "until a broker is down, for each",
    "flavor_change_s": "until a broker has another machine, beside its restart",
    "disk_s_per_100_gb": "until disks have grown, for each 100 GB",
    "observation_lag_s": "that what is seen of the brokers is old",
}

KAFKA_TIMINGS: Mapping[str, str] = {
    "metadata_lag_s": "until reads see what was written",
    "move_bytes_per_s": "that one broker takes in while replicas move, without a throttle",
    "partition_bytes": "that a new partition holds from the start",
    "message_bytes": "of one message",
    "moves_at_once": "replicas move in no time, whatever their size and throttle",
}

# Limits are constants in the code: module, name, unit, meaning.
LIMITS = (
    ("backroom.api.app", "MAX_BODY", "bytes", "body of a request"),
    ("backroom.api.app", "MAX_HEADERS", "bytes", "all header names and values of a request"),
    ("backroom.wire.queries", "MAX_PARAMETERS", "", "parameters of a query"),
    ("backroom.wire.tasks", "DEFAULT_LIMIT", "tasks", "a page of a list, if not said"),
    ("backroom.wire.tasks", "MAX_LIMIT", "tasks", "a page of a list, at most"),
    ("backroom.wire.signing", "CLOCK_SKEW_MAX", "", "between a signature's date and our clock"),
    ("backroom.service.submissions", "RECEIPT_KEPT", "", "for a repeated `X-Client-Token`"),
    ("backroom.engine.cleaner", "EVERY", "", "between two rounds of clearing old records"),
    ("backroom.engine.worker", "POLL_S", "s", "safety net beside wake-ups"),
    ("backroom.engine.rescuer", "LEASE_S", "s", "without a beat before a worker counts as dead"),
    ("backroom.engine.backoff", "FIRST_S", "s", "before the first retry, before jitter"),
    ("backroom.engine.backoff", "CAP_S", "s", "before any retry, at most"),
    ("backroom.server", "GRACE_S", "s", "for running steps when told to stop"),
    ("backroom.resources.accounts", "TOKEN_LIFETIME", "", "of an `X-Auth-Token`"),
    ("backroom.resources.accounts", "LOCK_AFTER", "", "failures in a row before a lock"),
    ("backroom.resources.accounts", "LOCK_TIME", "", "of a lock"),
)

READ_VARIABLES = (
    ("BACKROOM_DATA", "every command", "data folder where `--data` is missing"),
    ("XDG_DATA_HOME", "every command", "where per-user data lies; `~/.local/share` if not set"),
    ("BACKROOM_ENDPOINT", "commands that ask a server", "where `--endpoint` is missing"),
    ("BACKROOM_PROJECT_ID", "the same", "where `--project-id` is missing"),
    ("BACKROOM_INSTANCE_ID", "the same", "where `--instance` is missing"),
    (
        "CLOUD_SDK_AK`, `CLOUD_SDK_SK`, `CLOUD_SDK_SECURITY_TOKEN",
        "the same",
        "the key, where `--ak` and `--sk` are missing; `HUAWEICLOUD_SDK_...` after them",
    ),
    ("REQUESTS_CA_BUNDLE`, `SSL_CERT_FILE", "the same", "CAs, where `--ca` is missing"),
    ("BACKROOM_INSTANCE_PASSWORD", "`backroom instances create`", "where `--password` is missing"),
    ("LC_ALL`, `LC_MESSAGES`, `LANG", "the same", "Chinese messages where it begins with `zh`"),
    ("NO_COLOR", "the same", "no colours"),
    ("BACKROOM_NEW_SK", "`backroom keys add`", "the secret key where `--sk` is missing"),
    ("BACKROOM_SK", "`backroom signature explain`", "the secret key to verify with"),
    ("BACKROOM_PYTHON", "`./run`", "the Python to make `.venv` with"),
)

# Where a code, its status and its English text come from. DMS: the vendor's published lists,
# opentelekomcloud-docs/distributed-message-service @ 2c28a40 and huaweicloudDocs/kafka @ 43f5d90.
_LISTS = "[D] the lists"
_GUIDE = "[D] API signing guide, error codes"
SOURCES: Mapping[str, str] = {
    "INVALID_PARAMETER": "[D] the lists; text [O] Terraform's comment",
    "INSTANCE_NOT_READY": "[D] the lists; [O] Terraform retries it",
    "INVALID_OFFSET": "[O] Terraform's comment",
    "UNAUTHENTICATED": _GUIDE,
    "THROTTLED": "[D] API signing guide, error codes; that Retry-After comes with it [I]",
    "BODY_TOO_LARGE": _GUIDE,
    "HEADERS_TOO_LARGE": _GUIDE,
    "STORE_AWAY": "[D] code and text; that it comes with 503 [I]",
}


def pages(backroom: Backroom, variables: Iterable[str]) -> dict[str, str]:
    """Every generated file, by its path below docs/."""
    routes = backroom.table.routes
    made = {
        "reference/commands.md": _commands(),
        "reference/routes.md": _routes(routes),
        "reference/settings.md": _settings(variables),
        "reference/operations.md": _operations(),
        "reference/states.md": _states(),
        "wire/error-codes.md": _error_codes(),
        "coverage.md": _coverage(),
        "reference/metrics.md": _beside("diagrams").metrics(),
        **_beside("samples").pages(routes),
        **_beside("api_pages").pages(routes),
    }
    noted = {path: f"{NOTE}\n{text.rstrip()}\n" for path, text in made.items()}
    return noted | _beside("api_pages").files(routes)


def blocks(backroom: Backroom) -> dict[str, str]:
    """Every generated block, by its name."""
    routes = (r for r in backroom.table.routes if r.template.startswith(_KAFKA))
    served = len({r.operation for r in routes} - _OLDER)
    return {
        "transitions": _diagram(),
        "layers": _beside("diagrams").layers(),
        "tables": _beside("diagrams").tables(),
        "coverage": (
            f"{served} of the {SDK_OPERATIONS} calls of the official SDK's Kafka API "
            "([the table](docs/reference/routes.md)).\n"
        ),
        "coverage-zh": (
            f"官方 SDK 的 Kafka 接口共 {SDK_OPERATIONS} 个，已实现 {served} 个"  # noqa: RUF001  Chinese
            "（[接口表](docs/reference/routes.md)）。\n"  # noqa: RUF001  Chinese
        ),
    }


_KAFKA = ("/v1/{project_id}/", "/v2/")
_OLDER = {"CreateReassignmentTask", "ResizeInstance"}  # documented, but not in the SDK


def _table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    heads = list(heads)
    lines = [_row(heads), "|---" * len(heads) + "|", *(_row(row) for row in rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _code(text: object) -> str:
    return f"`{text}`" if text not in {"", None} else ""


def _commands() -> str:
    root = typer.main.get_command(app)
    parts = [
        "# Commands\n",
        f"{root.help}\n",
        "Exit status: 0 done, 1 refused or not as expected, 2 wrong usage. Of commands that ask a",
        "server: 1 a task failed, 3 one was cancelled, 4 time was up, 5 refused by the server,",
        "unreachable or none of this API, 130 after Ctrl-C.\n",
    ]
    parts.extend(_command(path, command) for path, command in walk(root, "backroom"))
    return "\n".join(parts)


def walk(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command below `command` that is not a mere group, in the order of the help."""
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in children.items():
        yield from walk(child, f"{path} {name}")


def _command(path: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    shown = " ".join([path, *(p.name.upper() for p in arguments)])
    parts = [f"## {path}\n", f"{inspect.cleandoc(command.help)}\n", f"`{shown} [OPTIONS]`\n"]
    rows = [
        (", ".join(map(_code, p.opts)), _help(p), _code(_default(p)))
        for p in command.params
        if p.name != "help"
    ]
    parts.append(_table(("option or argument", "meaning", "default"), rows))
    if command.epilog:
        parts.append(f"{command.epilog.replace('Example: ', 'Example: `', 1)}`\n")
    return "\n".join(parts)


def _help(parameter: Any) -> str:
    text = getattr(parameter, "help", None) or ""
    choices = getattr(parameter.type, "choices", None)
    if choices:
        text += f" One of {', '.join(str(getattr(c, 'value', c)) for c in choices)}."
    return f"{text} Required." if parameter.required else text


def _default(parameter: Any) -> object:
    default = parameter.default
    if default is None or default is False:
        return ""
    return default.value if isinstance(default, Enum) else default


def _routes(routes: Iterable[Route]) -> str:
    rows = [
        (
            route.method,
            _code(route.template),
            route.operation,
            route.status,
            route.identity,
            ", ".join(map(_code, route.query)),
            "" if route.body is None else _code(route.body.__name__),
            ", ".join(_code(operation.name) for operation in route.submits),
        )
        for route in routes
    ]
    heads = ("method", "path", "operation", "status", "identity", "query", "body", "task")
    return "\n".join(
        (
            "# Routes\n",
            "Each call that is answered. The operation is the vendor's name for it, the status is",
            "that of success, *task* names what a call may make a task of. `required` identity: a",
            "signature or an `X-Auth-Token`; `optional`: looked at if it is there. Whatever is not",
            "here is 404 `DMS.00404001`; another method is 405 `DMS.00405001` with `Allow`.\n",
            _table(heads, rows),
            "Parameters, bodies and answers: [API v2](api-v2.md), [native API](api-native.md).",
            "A program for each call of the Kafka API: [samples](samples/index.md).\n",
            "How the calls behave: [tasks](../wire/tasks.md),",
            "[public access](../wire/public-access.md), [instances](../wire/instances.md),",
            "[topics](../wire/topics.md), [parameters](../wire/configs.md),",
            "[reassignment](../wire/reassignment.md), [extensions](../wire/extensions.md),",
            "[restart and delete](../wire/instance-actions.md),",
            "[IAM](../wire/iam.md), [errors](../wire/errors.md).",
        )
    )


def _settings(variables: Iterable[str]) -> str:
    return "\n".join(
        (
            "# Settings\n",
            "What `backroom serve` can be told. Read once at the start; there is no file of",
            "settings. A setting without a flag can be set only by a program that makes `Settings`",
            "itself.\n",
            _table(("setting", "flag", "default", "meaning"), _described(Settings, SETTINGS)),
            "Simulated brokers (`timings`):\n",
            _table(("setting", "default", "meaning"), _timing_rows("timings", TIMINGS)),
            "Their topics (`kafka_timings`):\n",
            _table(("setting", "default", "meaning"), _timing_rows("kafka_timings", KAFKA_TIMINGS)),
            "## Environment variables that are read\n",
            _table(
                ("variable", "by", "meaning"),
                [(_code(name), by, meaning) for name, by, meaning in READ_VARIABLES],
            ),
            "## Environment variables that `backroom env` prints\n",
            "What each is for: [point an SDK here](../howto/point-an-sdk-here.md).\n",
            "".join(f"- `{name}`\n" for name in variables),
            "## Limits that are fixed\n",
            _table(
                ("what", "limit", "constant"),
                [
                    (meaning, _quantity(module, name, unit), _code(f"{module}.{name}"))
                    for module, name, unit, meaning in LIMITS
                ],
            ),
        )
    )


def _described(
    kind: type[msgspec.Struct], meanings: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[str, str, str, str]]:
    for field in msgspec.structs.fields(kind):
        if field.name not in meanings:
            raise SystemExit(f"docs/generate.py: SETTINGS lacks what {field.name} means")
        flag, meaning = meanings[field.name]
        yield _code(field.name), _code(flag), _code(_default_text(field)), meaning


def _timing_rows(name: str, meanings: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    timings = next(f for f in msgspec.structs.fields(Settings) if f.name == name).type
    for field in msgspec.structs.fields(timings):
        if field.name not in meanings:
            raise SystemExit(f"docs/generate.py: nothing says what {field.name} means")
        yield _code(field.name), _code(_default_text(field)), meanings[field.name]


def _default_text(field: msgspec.structs.FieldInfo) -> str:
    if field.required or isinstance(field.default, msgspec.Struct):
        return ""
    return "none" if field.default is None else str(field.default)


def _quantity(module: str, name: str, unit: str) -> str:
    value = getattr(importlib.import_module(module), name)
    if isinstance(value, timedelta):
        return f"{value.total_seconds() / 60:g} minutes"
    return f"{value:,} {unit}".rstrip()


def _operations() -> str:
    rows = [
        (
            _code(operation.name),
            _about(operation),
            ", ".join(_code(step.name) for step in operation.steps),
            _code(status_of(_record(operation.name, State.RUNNING, Kind.BACKGROUND)).value),
            "yes" if operation.has_progress else "no",
            operation.max_attempts,
            "yes" if operation.undo else "no",
            "yes" if operation.has_secrets else "no",
        )
        for operation in CATALOGUE.values()
    ]
    heads = ("name", "what", "steps", "in flight", "progress", "attempts", "undo", "sealed")
    return "\n".join(
        (
            "# Operations\n",
            "The kinds of change that a task can be. *In flight* is the status that v2 shows until",
            "the task has ended; *progress* says whether `/progress` answers; *attempts* counts",
            "the faults after which a task fails; *undo* says whether something is put right when",
            "it fails or is stopped; *sealed* parameters are encrypted at rest.\n",
            _table(heads, rows),
            "Where each name comes from: [task names](../wire/tasks.md#names-and-params).",
        )
    )


def _about(operation: Operation[Any]) -> str:
    """What its module says it is; the first step is its own, `prepare` may be shared."""
    module = sys.modules[operation.steps[0].run.__module__]
    return (module.__doc__ or "").strip().splitlines()[0].partition(":")[0].rstrip(".")


def _record(name: str, state: State, kind: Kind) -> TaskRecord:
    epoch = stamp(datetime(1970, 1, 1, tzinfo=UTC))
    return TaskRecord(
        id=TaskId(""),
        project_id=ProjectId(""),
        instance_id=InstanceId(""),
        kind=kind,
        name=name,
        user_id=UserId(""),
        user_name="",
        params="{}",
        state=state,
        created_at=epoch,
        updated_at=epoch,
        execute_at=None,
    )


def _states() -> str:
    name = next(iter(CATALOGUE))
    states = [
        (
            _code(state.value),
            "yes" if state.is_final else "no",
            *(_code(status_of(_record(name, state, kind)).value) for kind in Kind),
            meaning,
        )
        for state, meaning in _members(State)
    ]
    return "\n".join(
        (
            "# States\n",
            "A *state* is ours, a *status* is the wire's",
            "([why](../adr/0002-state-is-not-status.md)).\n",
            "## Tasks\n",
            "Until it has ended, a background task shows the status of its operation",
            "([operations](operations.md)); `CREATED` is meant below.\n",
            _table(
                ("state", "final", *(f"shown: {kind.value}" for kind in Kind), "meaning"), states
            ),
            "## Transitions of a task\n",
            "Each legal change, from the one table that decides (`domain.lifecycle.TRANSITIONS`).",
            "The drawing is in [architecture](../architecture.md#states).\n",
            _table(("from", "verb", "to", "cause, where it isn't plain"), _transitions()),
            "## Kinds of task\n",
            _table(("kind", "meaning"), _meanings(Kind)),
            "## Outcomes of an attempt\n",
            _table(("outcome", "meaning"), _meanings(Outcome)),
            "## States of a step\n",
            "A step that has not begun has no record; `/progress` shows it as `WAITING`.\n",
            _table(("state",), [(_code(state.value),) for state in StepState]),
            "## Statuses of an instance\n",
            "Ours and the wire's are the same words.\n",
            _table(("status",), [(_code(status.value),) for status in InstanceStatus]),
        )
    )


def _members(kind: type[Enum]) -> Iterator[tuple[Any, str]]:
    """Each member with the comment behind it in the source."""
    source = inspect.getsource(kind)
    for member in kind:
        found = re.search(rf"^    {member.name} = .*?  # (.*)$", source, re.MULTILINE)
        yield member, "" if found is None else found[1]


def _meanings(kind: type[Enum]) -> list[tuple[str, str]]:
    return [(_code(member.value), meaning) for member, meaning in _members(kind)]


def _transitions() -> Iterator[tuple[str, str, str, str]]:
    source = inspect.getsource(lifecycle)
    for (state, verb), target in TRANSITIONS.items():
        key = rf"\({_named(state)}, Verb\.{verb.name}\): {_named(target)},  # (.*)$"
        found = re.search(key, source, re.MULTILINE)
        cause = "" if found is None else found[1]
        yield _code(_place(state)), _code(verb.value), _code(_place(target)), cause


def _named(state: State | None) -> str:
    return "None" if state is None else rf"State\.{state.name}"


def _place(state: State | None) -> str:
    return "(no record)" if state is None else state.value


def _diagram() -> str:
    lines = ["```mermaid", "stateDiagram-v2"]
    for (state, verb), target in TRANSITIONS.items():
        start, end = (s.value if s is not None else "[*]" for s in (state, target))
        lines.append(f"    {start} --> {end}: {verb.value}")
    return "\n".join([*lines, "```", ""])


def _error_codes() -> str:
    kinds: dict[ErrorCode, list[str]] = {}
    for kind, (code, _) in api_errors.TABLE.items():
        kinds.setdefault(code, []).append(kind.__name__)
    rows = []
    for code in sorted(ErrorCode, key=lambda code: (code.value.status, code.value.code)):
        text = code.value
        classes = ", ".join(map(_code, kinds.get(code, ()))) or "all else: a bug of ours"
        source = SOURCES.get(code.name, _LISTS)
        rows.append((text.status, _code(text.code), text.english, text.chinese, classes, source))
    heads = ("status", "code", "text", "中文", "error class", "source")
    return "\n".join(
        (
            "# Error codes\n",
            "Every code that is answered with; `{}` is filled with what helps. How an error looks",
            "and which one wins: [errors](errors.md). The classes are in `domain/errors.py`; one",
            "that is not here is answered as its nearest base.\n",
            "Certainty: **[D]** documented by the vendor, **[O]** observed in a client, **[I]**",
            "decided by us. *The lists* are the vendor's published error lists of Kafka",
            "(opentelekomcloud-docs/distributed-message-service @ 2c28a40, huaweicloudDocs/kafka",
            "@ 43f5d90); statuses and English texts are theirs, the Chinese texts are ours [I].\n",
            _table(heads, rows),
        )
    )


def _beside(name: str) -> Any:
    """A module of this folder, however this file was loaded."""
    known = sys.modules.get(f"docs_{name}")
    if known is not None:
        return known
    path = ROOT / "docs" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"docs_{name}", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} can't be loaded")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _coverage() -> str:
    sys.path.insert(0, str(ROOT))  # as a script, this file sees its own folder only
    coverage = importlib.import_module("interop.coverage")
    return str(coverage.page_text(coverage.read()))


async def _assembled(folder: Path, use: Callable[[Backroom, Iterable[str]], Any]) -> Any:
    """What `use` makes of a Backroom in memory and of the names that `backroom env` prints."""
    backroom = assemble(Settings(data=folder, database="sqlite://", emulator=EmulatorSettings()))
    try:
        await prepare(backroom)
        return use(backroom, await environment(backroom))
    finally:
        backroom.close()


def wanted() -> dict[Path, str]:
    """What each generated file should hold: whole pages, and pages with blocks in them."""
    with tempfile.TemporaryDirectory() as folder:
        made, filled = asyncio.run(
            _assembled(Path(folder), lambda b, variables: (pages(b, variables), blocks(b)))
        )
    found = {ROOT / "docs" / path: text for path, text in made.items()}
    for path in hand_written():
        text = path.read_text("utf-8")
        renewed = _BLOCK.sub(lambda block: block[1] + filled[block[2]] + block[3], text)
        if _BLOCK.search(text):
            found[path] = renewed
    return found


def hand_written() -> list[Path]:
    return [ROOT / "README.md", ROOT / "README.zh-CN.md", ROOT / "docs" / "architecture.md"]


def stale() -> list[Path]:
    """The files that differ from what they should hold."""
    return [
        path
        for path, text in wanted().items()
        if not path.exists() or path.read_text("utf-8") != text
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; 1 if out of date")
    is_check = parser.parse_args().check
    changed = stale()
    texts = {} if is_check else wanted()
    for path in changed:
        print(f"{'out of date' if is_check else 'made'}: {path.relative_to(ROOT)}")
        if not is_check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(texts[path], "utf-8")
    return 1 if is_check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
