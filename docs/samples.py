"""A ready program for each call of the official Kafka API, in four languages.

Made from the route table; classes and fields are those of the installed Python SDK, bodies those of
the golden samples. What was compiled is in samples-compiled.json, see compile_samples.py.
"""

import hashlib
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from huaweicloudsdkkafka import v2

from backroom.api.routes import Route

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"
RECORD = Path(__file__).with_name("samples-compiled.json")
WIDTH = 88

Language = Literal["python", "java", "go", "nodejs"]
TITLES: Mapping[Language, str] = {
    "python": "Python",
    "java": "Java",
    "go": "Go",
    "nodejs": "Node.js",
}
FENCES: Mapping[Language, str] = {"python": "python", "java": "java", "go": "go", "nodejs": "js"}

# Which golden request stands for the call, where it isn't the first that succeeds.
_CHOSEN = {
    "BatchRestartOrDeleteInstances": "restart",
    "CreateKafkaReassignmentTask": "time_estimate",
    "ResizeEngineInstance": "storage",
}
# Bodies of calls that no golden sample asks for.
_BODIES: Mapping[str, Mapping[str, Any]] = {
    "CreatePostPaidKafkaInstance": {
        "name": "kafka-orders",
        "engine": "kafka",
        "engine_version": "2.7",
        "broker_num": 3,
        "storage_space": 300,
        "vpc_id": "vpc",
        "security_group_id": "group",
        "subnet_id": "subnet",
        "available_zones": ["zone"],
        "product_id": "c6.2u4g.cluster",
        "storage_spec_code": "dms.physical.storage.high.v2",
    },
    "ModifyKafkaPublicIpAccessSwitch": {
        "publicip_id": "1aea7aed-e7d8-40ea-b3de-6f3ee9d5db9f",
        "public_boundwidth": 5,
    },
    "ResizeKafkaInstance": {"oper_type": "horizontal", "new_broker_num": 4},
}
_QUERIES: Mapping[str, Mapping[str, Any]] = {
    "ListBackgroundTasks": {"limit": 10},
    "ListScheduledTasks": {"limit": 10},
    "UpdateScheduledTask": {"execute_at": "20991231235959"},
    "ListInstances": {"engine": "kafka"},
}
_PATHS: Mapping[str, Any] = {"engine": "kafka"}
# Fields that have a type of their own in Java and Go; the Python SDK takes a text.
_ENUMS = {
    ("ListInstancesRequest", "engine"),
    ("ResizeEngineInstanceRequest", "engine"),
    ("CreateInstanceByEngineReq", "engine"),
    ("CreateInstanceByEngineReq", "storage_spec_code"),
    ("BatchRestartOrDeleteInstanceReq", "action"),
}
_LIST = re.compile(r"list\[(.+)\]")
_ACRONYM = re.compile(r"[A-Z]{2,}(?=[A-Z][a-z])")


class Variable(msgspec.Struct, frozen=True):
    """A text from the environment."""

    name: str


class Argument(msgspec.Struct, frozen=True):
    """The first word behind the program's name on its command line."""

    name: str


class Field(msgspec.Struct, frozen=True):
    name: str  # as on the wire, and in Python
    kind: str  # as the Python SDK declares it
    value: Any
    is_optional: bool
    is_enum: bool


class Model(msgspec.Struct, frozen=True):
    """An object of the SDK with the fields that are set."""

    name: str
    fields: tuple[Field, ...]


class Call(msgspec.Struct, frozen=True):
    route: Route
    request: Model

    @property
    def argument(self) -> str | None:
        names = [f.value.name for f in self.request.fields if isinstance(f.value, Argument)]
        return names[0] if names else None


def calls(routes: Iterable[Route]) -> list[Call]:
    """One for each route that the official SDK has a method for."""
    return [
        Call(route, _model(f"{route.operation}Request", _given(route)))
        for route in routes
        if hasattr(v2, f"{route.operation}Request")
    ]


def body_of(operation: str) -> Mapping[str, Any] | None:
    if operation in _BODIES:
        return _BODIES[operation]
    folder = GOLDEN / operation
    for path in sorted(folder.glob(f"{_CHOSEN.get(operation, '*')}.json")):
        sample = json.loads(path.read_text("utf-8"))
        if sample["response"]["status"] < 300 and "body" in sample["request"]:  # noqa: PLR2004
            return dict(sample["request"]["body"])
    return None


def _given(route: Route) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name in re.findall(r"\{(\w+)\}", route.template):
        if name == "instance_id":
            given[name] = Variable("BACKROOM_INSTANCE_ID")
        elif name != "project_id":
            given[name] = _PATHS.get(name, Argument(name))
    given.update(_QUERIES.get(route.operation, {}))
    if route.body is not None:
        body = body_of(route.operation)
        if body is None:
            raise SystemExit(f"docs/samples.py: nothing says what {route.operation} sends")
        given["body"] = body
    return given


def _model(name: str, given: Mapping[str, Any]) -> Model:
    kind = getattr(v2, name)
    unknown = set(given) - set(kind.openapi_types)
    if unknown:
        raise SystemExit(f"docs/samples.py: {name} has no {', '.join(sorted(unknown))}")
    source = inspect.getsource(kind.__init__)
    return Model(
        name,
        tuple(
            Field(
                name=field,
                kind=declared,
                value=_value(declared, given[field]),
                is_optional=f"if {field} is not None" in source,
                is_enum=(name, field) in _ENUMS,
            )
            for field, declared in kind.openapi_types.items()
            if field in given
        ),
    )


def _value(declared: str, given: Any) -> Any:
    if given == "{instance_id}":
        return Variable("BACKROOM_INSTANCE_ID")
    listed = _LIST.fullmatch(declared)
    if listed is not None:
        return tuple(_value(listed[1], one) for one in given)
    if isinstance(given, Mapping):
        return _model(declared, given)
    return _leaf(declared, given)


def _leaf(declared: str, given: Any) -> Any:
    """As the SDK declares it: a recorded request may have another type."""
    if declared == "bool":
        return given in {True, "true"}
    is_text = declared == "str" and not isinstance(given, (Variable, Argument))
    return str(given) if is_text else given


def program(language: Language, call: Call) -> str:
    return _PROGRAMS[language](call)


def _camel(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _plain(name: str) -> str:
    """As Java and Go write a class that the Python SDK writes with an acronym in capitals."""
    return _ACRONYM.sub(lambda found: found[0].capitalize(), name)


def _wrapped(opening: str, parts: Iterable[str], closing: str, indent: int, step: int = 4) -> str:
    """On one line if that fits, else a part on each."""
    parts = list(parts)
    line = f"{opening}{', '.join(parts)}{closing}"
    if "\n" not in line and indent + len(line) <= WIDTH:
        return line
    pad = " " * (indent + step)
    return "\n".join((opening, *(f"{pad}{part}," for part in parts), " " * indent + closing))


def _models(value: Any) -> Iterator[str]:
    if isinstance(value, Model):
        yield value.name
        for field in value.fields:
            yield from _models(field.value)
    elif isinstance(value, tuple):
        for one in value:
            yield from _models(one)


def _python_value(value: Any, indent: int) -> str:
    match value:
        case Variable(name):
            return f'os.environ["{name}"]'
        case Argument():
            return "sys.argv[1]"
        case Model(name, fields):
            parts = (f"{f.name}={_python_value(f.value, indent + 4)}" for f in fields)
            return _wrapped(f"{name}(", parts, ")", indent)
        case tuple():
            return _wrapped("[", (_python_value(one, indent + 4) for one in value), "]", indent)
        case str():
            return json.dumps(value)
        case _:
            return repr(value)


def _python(call: Call) -> str:
    names = sorted({"KafkaClient", *_models(call.request)})
    imported = _wrapped("from huaweicloudsdkkafka.v2 import (", names, ")", 0)
    if "\n" not in imported:
        imported = imported.replace("(", "").replace(")", "")
    system = ("import os", "import sys") if call.argument else ("import os",)
    return "\n".join(
        (
            *system,
            "",
            "from huaweicloudsdkcore.auth.credentials import BasicCredentials",
            imported,
            "from huaweicloudsdkkafka.v2.region.kafka_region import KafkaRegion",
            "",
            "credentials = BasicCredentials(",
            '    os.environ["CLOUD_SDK_AK"],',
            '    os.environ["CLOUD_SDK_SK"],',
            '    os.environ["BACKROOM_PROJECT_ID"],',
            ")",
            "client = (",
            "    KafkaClient.new_builder()",
            "    .with_credentials(credentials)",
            '    .with_region(KafkaRegion.value_of(os.environ["BACKROOM_REGION"]))',
            "    .build()",
            ")",
            f"request = {_python_value(call.request, 0)}",
            f"print(client.{_snake(call.route.operation)}(request))",
            "",
        )
    )


def _java_value(value: Any, indent: int) -> str:
    match value:
        case Variable(name):
            return f'System.getenv("{name}")'
        case Argument():
            return "args[0]"
        case Model(name, fields):
            pad = "\n" + " " * (indent + 4)
            setters = (
                f"{pad}.with{_camel(f.name)}({_java_field(name, f, indent + 4)})" for f in fields
            )
            return f"new {_plain(name)}(){''.join(setters)}"
        case tuple():
            return _java_list((_java_value(one, indent + 4) for one in value), indent)
        case _:
            return json.dumps(value)


def _java_list(parts: Iterable[str], indent: int) -> str:
    text = _wrapped("Arrays.asList(", parts, ")", indent)
    return text.removesuffix(",\n" + " " * indent + ")") + ")" if "\n" in text else text


def _java_field(owner: str, field: Field, indent: int) -> str:
    value = _java_value(field.value, indent)
    if field.is_enum:
        return f"{_plain(owner)}.{_camel(field.name)}Enum.fromValue({value})"
    return value


def java_class(call: Call) -> str:
    return f"{call.route.operation}Sample"


def _java(call: Call) -> str:
    models = {_plain(name) for name in _models(call.request)}
    model = "com.huaweicloud.sdk.kafka.v2.model."
    request = _java_value(call.request, 8)
    imports = sorted(
        {
            "com.huaweicloud.sdk.core.auth.BasicCredentials",
            "com.huaweicloud.sdk.core.auth.ICredential",
            "com.huaweicloud.sdk.kafka.v2.KafkaClient",
            "com.huaweicloud.sdk.kafka.v2.region.KafkaRegion",
            *(f"{model}{name}" for name in models),
            *(("java.util.Arrays",) if "Arrays." in request else ()),
        }
    )
    return "\n".join(
        (
            *(f"import {name};" for name in imports),
            "",
            f"public final class {java_class(call)} {{",
            "    public static void main(String[] args) {",
            "        ICredential credentials = new BasicCredentials()",
            '            .withAk(System.getenv("CLOUD_SDK_AK"))',
            '            .withSk(System.getenv("CLOUD_SDK_SK"))',
            '            .withProjectId(System.getenv("BACKROOM_PROJECT_ID"));',
            "        KafkaClient client = KafkaClient.newBuilder()",
            "            .withCredential(credentials)",
            '            .withRegion(KafkaRegion.valueOf(System.getenv("BACKROOM_REGION")))',
            "            .build();",
            f"        {call.request.name} request = {request};",
            f"        System.out.println(client.{_lower(call.route.operation)}(request));",
            "    }",
            "}",
            "",
        )
    )


_GO_KINDS = {"str": "string", "int": "int32", "bool": "bool"}


def _go_kind(declared: str) -> str:
    listed = _LIST.fullmatch(declared)
    if listed is not None:
        return f"[]{_go_kind(listed[1])}"
    return _GO_KINDS.get(declared) or f"model.{_plain(declared)}"


def _go_value(value: Any, declared: str, tabs: int) -> str:
    match value:
        case Variable(name):
            return f'os.Getenv("{name}")'
        case Argument():
            return "os.Args[1]"
        case Model():
            return _go_struct(value, tabs)
        case tuple():
            listed = _LIST.fullmatch(declared)
            inner = "" if listed is None else listed[1]
            return _go_list(value, declared, inner, tabs)
        case _:
            return json.dumps(value)


def _go_list(values: tuple[Any, ...], declared: str, inner: str, tabs: int) -> str:
    parts = [_go_value(one, inner, tabs + 1) for one in values]
    if not any("\n" in part for part in parts):
        return f"{_go_kind(declared)}{{{', '.join(parts)}}}"
    return f"{_go_kind(declared)}{{{_go_lines(parts, tabs)}}}"


def _go_lines(parts: Iterable[str], tabs: int) -> str:
    pad = "\n" + "\t" * (tabs + 1)
    return "".join(f"{pad}{part}," for part in parts) + "\n" + "\t" * tabs


def _go_struct(value: Model, tabs: int) -> str:
    names = [f"{_camel(field.name)}:" for field in value.fields]
    if not names:
        return f"model.{_plain(value.name)}{{}}"
    values = [_go_field(value.name, field, tabs + 1) for field in value.fields]
    lines = (
        f"{name:<{width}} {text}"
        for name, text, width in zip(names, values, _go_widths(names, values), strict=True)
    )
    return f"model.{_plain(value.name)}{{{_go_lines(lines, tabs)}}}"


def _go_widths(names: list[str], values: list[str]) -> list[int]:
    """As gofmt aligns: a field over several lines ends the block it stands in."""
    widths: list[int] = []
    block: list[str] = []
    for name, value in zip(names, values, strict=True):
        if "\n" in value:
            widths += [max(map(len, block), default=0)] * len(block) + [len(name)]
            block = []
        else:
            block.append(name)
    return widths + [max(map(len, block), default=0)] * len(block)


def _go_field(owner: str, field: Field, tabs: int) -> str:
    if field.is_enum:
        constant = re.sub(r"\W", "_", field.value).upper()
        value = f"model.Get{_plain(owner)}{_camel(field.name)}Enum().{constant}"
    else:
        value = _go_value(field.value, field.kind, tabs)
    if isinstance(field.value, Model):
        return f"&{value}"
    if not field.is_optional:
        return value
    return f"of(int32({value}))" if field.kind == "int" else f"of({value})"


def _go(call: Call) -> str:
    request = _go_struct(call.request, 1)
    helper = (
        "",
        "// The SDK takes pointers where a field may be left out.",
        "func of[T any](value T) *T { return &value }",
    )
    return "\n".join(
        (
            "package main",
            "",
            "import (",
            '\t"fmt"',
            '\t"os"',
            "",
            '\t"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"',
            '\tkafka "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/kafka/v2"',
            '\t"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/kafka/v2/model"',
            '\t"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/kafka/v2/region"',
            ")",
            "",
            "func main() {",
            "\tcredentials := basic.NewCredentialsBuilder().",
            '\t\tWithAk(os.Getenv("CLOUD_SDK_AK")).',
            '\t\tWithSk(os.Getenv("CLOUD_SDK_SK")).',
            '\t\tWithProjectId(os.Getenv("BACKROOM_PROJECT_ID")).',
            "\t\tBuild()",
            "\tclient := kafka.NewKafkaClient(kafka.KafkaClientBuilder().",
            '\t\tWithRegion(region.ValueOf(os.Getenv("BACKROOM_REGION"))).',
            "\t\tWithCredential(credentials).",
            "\t\tBuild())",
            f"\trequest := &{request}",
            f"\tresponse, err := client.{call.route.operation}(request)",
            "\tif err != nil {",
            "\t\tfmt.Fprintln(os.Stderr, err)",
            "\t\tos.Exit(1)",
            "\t}",
            "\tfmt.Println(response)",
            "}",
            *(helper if "of(" in request else ()),
            "",
        )
    )


def _node_value(value: Any, indent: int) -> str:
    match value:
        case Variable(name):
            return f"process.env.{name}"
        case Argument():
            return "process.argv[2]"
        case Model(name, fields):
            pad = "\n" + " " * (indent + 2)
            setters = (
                f"{pad}.with{_camel(f.name)}({_node_value(f.value, indent + 2)})" for f in fields
            )
            return f"new kafka.{name}(){''.join(setters)}"
        case tuple():
            parts = (_node_value(one, indent + 2) for one in value)
            return _wrapped("[", parts, "]", indent, step=2)
        case _:
            return json.dumps(value)


def _node(call: Call) -> str:
    return "\n".join(
        (
            'const { BasicCredentials } = require("@huaweicloud/huaweicloud-sdk-core");',
            'const kafka = require("@huaweicloud/huaweicloud-sdk-kafka/v2/public-api");',
            "",
            "const credentials = new BasicCredentials()",
            "  .withAk(process.env.CLOUD_SDK_AK)",
            "  .withSk(process.env.CLOUD_SDK_SK)",
            "  .withProjectId(process.env.BACKROOM_PROJECT_ID);",
            "const client = kafka.KafkaClient.newBuilder()",
            "  .withCredential(credentials)",
            "  .withEndpoint(process.env.BACKROOM_ENDPOINT)",
            "  .build();",
            f"const request = {_node_value(call.request, 0)};",
            "client",
            f"  .{_lower(call.route.operation)}(request)",
            "  .then((response) => console.log(JSON.stringify(response, null, 2)))",
            "  .catch((error) => {",
            "    console.error(error);",
            "    process.exitCode = 1;",
            "  });",
            "",
        )
    )


_PROGRAMS: Mapping[Language, Any] = {
    "python": _python,
    "java": _java,
    "go": _go,
    "nodejs": _node,
}


class Record(msgspec.Struct, frozen=True):
    """What was compiled: the packages by language, and the digest of each program that passed."""

    packages: dict[str, str]
    passed: dict[str, dict[str, str]]  # language -> operation -> digest


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def record() -> Record:
    if not RECORD.exists():
        return Record({}, {})
    return msgspec.json.decode(RECORD.read_bytes(), type=Record)


def pages(routes: Iterable[Route]) -> dict[str, str]:
    """The page of each call, and the list of them, by path below docs/."""
    kept = record()
    made = calls(routes)
    texts = {f"reference/samples/{call.route.operation}.md": _page(call, kept) for call in made}
    return {"reference/samples/index.md": _index(made, kept), **texts}


def _index(made: Iterable[Call], kept: Record) -> str:
    rows = (
        f"| [{c.route.operation}]({c.route.operation}.md) | `{c.route.method} {c.route.template}` |"
        for c in made
    )
    versions = (
        f"- {TITLES[language]}: {kept.packages[language]}"
        for language in TITLES
        if language in kept.packages
    )
    return "\n".join(
        (
            "# Samples\n",
            "A whole program for each call that the official SDKs have a method for, in Python,",
            "Java, Go and Node.js. It makes one call and prints the answer, with what",
            "[`backroom env`](../commands.md#backroom-env) has put into the environment; against",
            "the real service set `CLOUD_SDK_AK`, `CLOUD_SDK_SK`, `BACKROOM_PROJECT_ID`,",
            "`BACKROOM_REGION` and `BACKROOM_INSTANCE_ID` yourself, and for Node.js",
            "`BACKROOM_ENDPOINT`. Programs that wait for a task stand below `examples/`; how each",
            "client is pointed here: [point an SDK here](../../howto/point-an-sdk-here.md).\n",
            "| call | request |",
            "|---|---|",
            *rows,
            "\nPython programs are run in the tests against the SDK's own client, up to the",
            "request it would send. The others were compiled (Java, Go) or had each class and",
            "method looked up in the package (Node.js), with:\n",
            *versions,
            "\nA page says so where that was not possible.",
        )
    )


def _page(call: Call, kept: Record) -> str:
    route = call.route
    parts = [f"# {route.operation}\n", f"`{route.method} {route.template}`\n"]
    if call.argument is not None:
        parts.append(f"The program takes the `{call.argument}` as its argument.\n")
    parts.append(
        f"Parameters, body and answers: [{route.operation}](../api-v2.md#{route.operation.lower()})"
        ". What the program finds in the environment: [samples](index.md).\n"
    )
    for language, title in TITLES.items():
        text = program(language, call)
        parts.append(f"## {title}\n")
        passed = kept.passed.get(language, {}).get(route.operation) == digest(text)
        if language != "python" and not passed:
            parts.append(f"{_why_not(language, kept)}\n")
        parts.append(f"```{FENCES[language]}\n{text}```\n")
    return "\n".join(parts)


def _why_not(language: Language, kept: Record) -> str:
    package = kept.packages.get(language)
    if package is None:
        return "*Not compiled.*"
    return f"*Not compiled: {package} has no call of this name.*"
