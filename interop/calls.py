"""The cells of docs/coverage.md: for each client, each call that is made and how it is judged.

What a cell can be: interop/coverage.py.
"""

import contextlib
import json
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interop import checking, page
from interop.coverage import GROUPS, RAN
from interop.programs import Language, ProgramFailed, called
from interop.servers import Server, serving

ODD = (  # query values that each SDK encodes in its own way; none is a time, so all are refused
    "2026 01 01",
    "\"quoted\" 'twice'",
    "a+b*c~d%e",
    "100%25",
    "a=b&c=d",
    "北京时间",
    "🚀 später",
    "",
)
DESCRIPTION = " ".join(ODD)
MISSING = "0" * 32
STEPS = ("pre_check", "disk_expansion", "rolling_scaling")  # of an extension
PAGE = 10  # tasks, as in the examples; also what the server shows if not told
TRUST = (
    "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS",
    "JAVA_TOOL_OPTIONS",
)  # fmt: skip
A_CALL_A_MINUTE = "0.0167"
SWALLOWED = (
    "open: the client's own error arrives with status 429, but of a read this SDK throws the"
    " answer's body and headers away: huaweicloudsdkcore 3.1.219 gives 429 to urllib3's Retry"
    " (http/http_client.py:58 and 66), urllib3 2.8.0 raises in place of the answer"
    " (connectionpool.py:962-968), and the SDK fills in `429` as the code, a message of its own and"
    " an empty request id (exceptions/exception_handler.py:125-131). No setting changes that. Retry"
    " leaves POST alone: see the write"
)
NO_FILE = (
    "open: this SDK reads no such file: huaweicloud-sdk-kafka 3.1.215 looks regions up only in a"
    " table of its own (v2/KafkaRegion.js:6-14), and core 3.1.211 reads credentials from the"
    " environment, but no endpoint (ClientBuilder.js:138-141)"
)


@dataclass
class Round:
    """One client against running servers. `extension` is the id of a task that has progress."""

    language: Language
    server: Server
    plain: Server
    extension: str
    odd: Mapping[str, str]  # ids of instances by name, on the plain server
    cells: dict[str, str] = field(default_factory=dict)
    printed: dict[str, Any] = field(default_factory=dict)

    @contextlib.contextmanager
    def cell(self, group: str, name: str) -> Iterator[None]:
        outcome = RAN
        try:
            yield
        except (AssertionError, ProgramFailed, LookupError, ValueError, TypeError) as problem:
            outcome = f"failed: {type(problem).__name__}: {problem}"
        self.cells[f"{group}: {name}"] = outcome

    @property
    def topic(self) -> str:
        return f"interop-{self.language.name}"

    @property
    def address_id(self) -> str:
        return f"eip-{self.language.name}"


def samples(language: Language, server: Server, task_id: str) -> dict[str, str]:
    """The page's programs to build, by label. Raises page.PageMissing."""
    if not language.has_page_sample:
        return {}
    text = language.adapted(page.sample(language.name))
    common = {
        "<YOUR REGION>": server.env["BACKROOM_REGION"],
        "{instance_id}": server.instance_id,
    }
    given = {"{project_id}": server.project_id}
    return {
        "page": page.filled(text, common | given | {"{task_id}": task_id}),
        "page_lookup": page.filled(text, common | {"{project_id}": "", "{task_id}": task_id}),
        "page_missing": page.filled(text, common | given | {"{task_id}": MISSING}),
    }


def run_samples(run: Round, task_id: str) -> None:
    language, server = run.language, run.server
    for name, label in (("sample", "page"), ("sample, looked up", "page_lookup")):
        with run.cell("page", name):
            text = called(language.sample(label), server.env).stdout
            seen = checking.printed_record(language.name, text)
            checking.is_envelope(seen, server.stored(task_id))
    with run.cell("page", "sample, refused"):
        text = called(language.sample("page_missing"), server.env).stdout
        error = checking.printed_error(language.name, text)
        checking.is_refused({"error": error}, 404, "DMS.00404001", MISSING)


def run_examples(run: Round, task_id: str) -> None:
    server, example = run.server, run.language.example
    with run.cell("examples", "show"):
        seen = json.loads(called([*example("show"), task_id], server.env).stdout)
        checking.is_envelope(seen, server.stored(task_id))
    with run.cell("examples", "list"):
        printed = called(example("list"), server.env).stdout.splitlines()
        names = ("id", "status", "name", "created_at")
        wanted = [" ".join(task[name] for name in names) for task in server.all_stored()]
        checking.must(len(wanted) > PAGE, "more than a page of tasks is stored", len(wanted))
        checking.same(printed, wanted, "the list")
    with run.cell("examples", "progress"):
        printed = called([*example("progress"), run.extension], server.env).stdout.splitlines()
        wanted = ["100 %, 0 s left", *(f"{name} COMPLETED" for name in STEPS)]
        checking.same(printed, wanted, "the progress")
    for name, kind in (("bind", "bindInstancePublicIp"), ("reassign", "kafkaReassignment")):
        with run.cell("examples", name):
            stored = server.stored(called(example(name), server.env).stdout.strip())
            checking.same(stored and (stored["name"], stored["status"]), (kind, "SUCCESS"), "task")


def run_calls(run: Round) -> None:
    """Four runs of our program: all that one environment allows, and three that need another."""
    language, server = run.language, run.server
    try:
        run.printed = language.run(_sessions(run), server.env)
    except ProgramFailed as problem:
        run.printed = {}
        run.cells.update({f"calls: {name}": f"failed: {problem}" for name in GROUPS["calls"]})
        return
    judges = dict(_JUDGES)
    if not language.has_regions_file:
        run.cells["calls: regions file"] = NO_FILE
        judges.pop("regions file")
    for name, judge in judges.items():
        with run.cell("calls", name):
            judge(run)
    if not language.tells_throttling and run.cells["calls: throttled"] == RAN:
        run.cells["calls: throttled"] = SWALLOWED


def _sessions(run: Round) -> list[dict[str, Any]]:
    server, plain = run.server, run.plain
    done = {"op": "show", "task_id": run.extension}
    bind = {"op": "bind", "publicip_id": run.address_id, "bandwidth": 7}
    topic = {"topic": run.topic, "partitions": 3, "replicas": 1, "description": DESCRIPTION}
    created = server.stored(run.extension)
    assert created is not None
    at = created["created_at"][:19].translate({ord(mark): None for mark in "-:T"})
    main = [
        {"label": "show", **done},
        {"label": "bind", **bind},
        {"label": "list", "op": "list"},
        {"label": "list, page", "op": "list", "start": 2, "limit": 1},
        {"label": "list, window", "op": "list", "begin_time": at, "end_time": at, "limit": 100},
        *(
            {"label": f"odd {number}", "op": "list", "begin_time": text}
            for number, text in enumerate(ODD)
        ),
        {"label": "progress", "op": "progress", "task_id": run.extension},
        {"label": "no progress", "op": "progress", "task_id": MISSING},
        {"label": "create topic", "op": "create_topic", **topic},
        {"label": "reassign", "op": "reassign", "topic": run.topic, "brokers": [2]},
        {"label": "missing task", "op": "show", "task_id": MISSING},
    ]
    temporary = server.temporary_key()
    without = {name: text for name, text in temporary.items() if name != "security_token"}
    wrong = {"sk": "not-the-secret-key"}
    denied = bind | {"publicip_id": "eip-denied"}
    return [
        server.session(*main),
        server.session({"label": "wrong secret", **done}, **wrong),
        server.session({"label": "after a wrong secret", **done}),
        server.session({"label": "forbidden", **denied}, **server.viewer()),
        server.session({"label": "looked up", **done}, project_id=None),
        server.session({"label": "temporary key", **done}, **temporary),
        server.session({"label": "without its token", **done}, **without),
        plain.session(
            {"label": "plain http", "op": "list"},
            *({"label": f"named {name}", "op": "instances", "name": name} for name in run.odd),
            endpoint=plain.endpoint,
        ),
    ]


def _show(run: Round) -> None:
    checking.is_envelope(checking.answered(run.printed["show"]), run.server.stored(run.extension))


def _list(run: Round) -> None:
    """Of the moment when it was listed: everything that is stored now and was not made later."""
    seen = checking.answered(run.printed["list"])
    stored = run.server.all_stored()
    newest = next(at for at, task in enumerate(stored) if task["id"] == seen["tasks"][0]["id"])
    then = stored[newest:]
    checking.same(seen["task_count"], str(len(then)), "the total")
    for shown, task in zip(seen["tasks"], then[:PAGE], strict=True):
        checking.is_record(shown, task)
    page_two = checking.answered(run.printed["list, page"])
    checking.same([task["id"] for task in page_two["tasks"]], [then[1]["id"]], "the second task")
    checking.same(page_two["task_count"], str(len(then)), "the total beside a page")
    window = checking.answered(run.printed["list, window"])
    checking.must(run.extension in [task["id"] for task in window["tasks"]], "the window", window)


def _odd(run: Round) -> None:
    """A wrong signature would be 401: that the form of the time is refused shows it was right."""
    for number, text in enumerate(ODD):
        line = run.printed[f"odd {number}"]
        if text == "" and "answer" in line:
            continue  # some SDKs leave an empty parameter out
        checking.is_refused(line, 400, "DMS.00400062", "begin_time")


def _named(run: Round) -> None:
    """By its exact name each is found, and nothing else: another value would find none."""
    checking.same(list(run.odd), [text for text in ODD if text], "the names")
    for name, instance_id in run.odd.items():
        seen = checking.answered(run.printed[f"named {name}"])["instances"]
        found = [(instance["instance_id"], instance["name"]) for instance in seen]
        checking.same(found, [(instance_id, name)], "what was found")


def _progress(run: Round) -> None:
    seen = checking.answered(run.printed["progress"])
    checking.same((seen["progress_percentage"], seen["remain_time"]), (100, 0), "the progress")
    steps = [(step["name"], step["statue"]) for step in seen["step_list"]]
    checking.same(steps, [(name, "COMPLETED") for name in STEPS], "the steps")
    for step in seen["step_list"]:
        checking.must(int(step["end_time"]) >= int(step["start_time"]) > 0, "its times", step)
    checking.is_refused(run.printed["no progress"], 404, "DMS.00404001", MISSING)


def _bind(run: Round) -> None:
    seen = checking.answered(run.printed["bind"])
    checking.is_record(seen["task"], run.server.stored(seen["task"]["id"]))
    checking.same(json.loads(seen["task"]["params"])["public_ip_id"], run.address_id, "address")
    _waited(seen, "CREATED")


def _reassign(run: Round) -> None:
    seen = checking.answered(run.printed["reassign"])
    checking.is_record(seen["task"], run.server.stored(seen["task"]["id"]))
    checking.same(seen["task"]["name"], "kafkaReassignment", "the name")
    _waited(seen, "EXECUTING")
    checking.same(run.server.brokers_of(run.topic), {2}, "where the replicas are")


def _waited(seen: Mapping[str, Any], under_way: str) -> None:
    checking.must(
        seen["statuses"] in ([under_way, "SUCCESS"], ["SUCCESS"]), "statuses", seen["statuses"]
    )


def _create_topic(run: Round) -> None:
    seen = checking.answered(run.printed["create topic"])
    checking.same(seen.get("id") or seen.get("name"), run.topic, "the topic's name")
    checking.same(run.server.description_of(run.topic), DESCRIPTION, "its description")


def _delete(run: Round) -> None:
    """The record of the public access that was bound before."""
    task_id = checking.answered(run.printed["bind"])["task"]["id"]
    checking.must(run.server.stored(task_id) is not None, "stored before", task_id)
    calls = ({"label": "delete", "op": "delete", "task_id": task_id},
             {"label": "gone", "op": "show", "task_id": task_id})  # fmt: skip
    printed = run.language.run([run.server.session(*calls)], run.server.env)
    checking.same(checking.answered(printed["delete"])["status"], 204, "the status")
    checking.is_refused(printed["gone"], 404, "DMS.00404001", task_id)
    checking.same(run.server.stored(task_id), None, "stored after")


def _wrong_secret(run: Round) -> None:
    part = "verify aksk signature fail, canonicalRequest:GET|/v2/"
    checking.is_refused(run.printed["wrong secret"], 401, "APIGW.0301", part)
    checking.answered(run.printed["after a wrong secret"])


def _missing_task(run: Round) -> None:
    checking.is_refused(run.printed["missing task"], 404, "DMS.00404001", MISSING)


def _forbidden(run: Round) -> None:
    checking.is_refused(run.printed["forbidden"], 403, "DMS.00403002", "permission")
    checking.must(
        not any("eip-denied" in task["params"] for task in run.server.all_stored()), "nothing made"
    )


def _throttled(run: Round) -> None:
    """A server of its own: who has used up a limit would be refused in the next language, too."""
    topic = {"topic": run.topic, "partitions": 1, "replicas": 1, "description": ""}
    calls = (
        *({"label": f"call {number}", "op": "list"} for number in (1, 2)),
        {"label": "write", "op": "create_topic", **topic},
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), "--http", "--rate-limit", A_CALL_A_MINUTE) as slow,
    ):
        session = slow.session(*calls, endpoint=slow.endpoint)
        printed = run.language.run([session], slow.env)
        run.printed["throttled write"] = printed["write"]
        seen = checking.answered(printed["call 1"])
        checking.same(seen["task_count"], str(len(slow.all_stored())), "the total")
    if run.language.tells_throttling:
        checking.is_refused(printed["call 2"], 429, "APIGW.0308", "throttling threshold")
        return
    error = printed["call 2"]["error"]
    seen = (error["type"], error["status"], error["code"])
    checking.same(seen, ("ClientRequestException", 429, "429"), "what the SDK makes of it")


def _throttled_write(run: Round) -> None:
    line = run.printed["throttled write"]
    checking.is_refused(line, 429, "APIGW.0308", "throttling threshold")


def _looked_up(run: Round) -> None:
    seen = checking.answered(run.printed["looked up"])
    checking.is_envelope(seen, run.server.stored(run.extension))


def _temporary_key(run: Round) -> None:
    seen = checking.answered(run.printed["temporary key"])
    checking.is_envelope(seen, run.server.stored(run.extension))
    part = "Incorrect IAM authentication information"
    checking.is_refused(run.printed["without its token"], 401, "APIGW.0301", part)


def _plain_http(run: Round) -> None:
    checking.must(run.plain.endpoint.startswith("http://"), "plain", run.plain.endpoint)
    seen = checking.answered(run.printed["plain http"])
    checking.same(seen["task_count"], str(len(run.plain.all_stored())), "the total")


def _https(run: Round) -> None:
    """The same call is answered above. Without the variables that trust the CA it must not be."""
    checking.must(run.server.endpoint.startswith("https://"), "TLS", run.server.endpoint)
    checking.answered(run.printed["show"])
    env = {name: text for name, text in run.server.env.items() if name not in TRUST}
    printed = run.language.run([run.server.session({"label": "untrusted", "op": "list"})], env)
    error = printed["untrusted"].get("error")
    checking.must(error is not None, "answered without trust", printed)
    checking.must("status" not in error, "no answer of a server", error)
    told = json.dumps(error).lower()
    checking.must(any(word in told for word in ("certificat", "ssl", "pkix")), "why", error)


def _regions_file(run: Round) -> None:
    """Only the file knows the endpoint: the variable is taken away."""
    server = run.server
    path = server.home / f"{uuid.uuid4().hex}.yaml"
    region = server.env["BACKROOM_REGION"]
    path.write_text(f"KAFKA:\n  - id: {region}\n    endpoints:\n      - {server.endpoint}\n")
    env = {
        name: text
        for name, text in server.env.items()
        if not name.startswith("HUAWEICLOUD_SDK_REGION")
    } | {"HUAWEICLOUD_SDK_REGIONS_FILE": str(path)}
    call = {"label": "show", "op": "show", "task_id": run.extension}
    printed = run.language.run([server.session(call)], env)
    checking.is_envelope(checking.answered(printed["show"]), server.stored(run.extension))


_JUDGES: Mapping[str, Callable[[Round], None]] = {
    "show": _show,
    "list": _list,
    "list, odd": _odd,
    "instances, odd": _named,
    "progress": _progress,
    "bind": _bind,
    "create topic": _create_topic,
    "reassign": _reassign,
    "wrong secret": _wrong_secret,
    "missing task": _missing_task,
    "forbidden": _forbidden,
    "throttled": _throttled,
    "throttled, write": _throttled_write,
    "looked up": _looked_up,
    "temporary key": _temporary_key,
    "plain http": _plain_http,
    "https": _https,
    "regions file": _regions_file,
    "delete": _delete,
}
