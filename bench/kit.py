"""./run bench kit: the test kit's server beside moto's, and what the kit costs in a test's process.

Every ratio is of medians over interleaved rounds in one run, each round with servers just
started. Exits 1 when a ratio is missed.
"""

import argparse
import compileall
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.load import rss_mb
from bench.one_client import OneClient, one_processor
from bench.report import Ratio, Results, figure, keep_section, over, parser, ratio_table, say
from bench.show import BACKROOM, ROOT, bare_hello, free_port
from bench.signer import signed_get

HEADING = "## Test kit"
MOTO_SERVER = str(Path(sys.executable).with_name("moto_server"))
OURS, MOTO, HELLO = "backroom test-server", "moto_server", "bare hello"
REGION = "us-east-1"
KEYS = ("AK", "SK")
TRY_AGAIN_S = 0.005
ANYWHERE = ", on any processor"
STARTS_WITHIN_S = 60
SEED = json.dumps(
    {
        "instances": [
            {"name": "kafka-demo", "tasks": [{"operation": "restartInstance", "ago_s": 3600}]}
        ]
    }
)
BUDGETS_MS = {
    "import": ("import of backroom.testing.server", 300),
    "ready": ("a server of fixture `backroom` ready, after the import", 300),
    "seed": ("seed of 104 objects", 10),
    "reset": ("reset to 104 objects", 10),
}


@dataclass(frozen=True)
class Sizes:
    """`small` is for development and the test that it runs at all."""

    requests: int = 10_000
    peer_requests: int = 1_000
    repeats: int = 50


SMALL = Sizes(requests=300, peer_requests=30, repeats=3)


@contextmanager
def backroom(folder: Path) -> Iterator[tuple[float, int, int, dict[str, bytes]]]:
    """Seconds until the first answer, process, port, and requests by what they show."""
    seed = folder / "seed.json"
    seed.write_text(SEED)
    command = [BACKROOM, "test-server", "--port", "0", "--json", "--seed", str(seed)]
    began = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        told = json.loads(process.stdout.readline())
        port = int(told["endpoint"].rpartition(":")[2])
        keys = (told["ak"], told["sk"], told["project_id"])
        instances = f"/v2/{told['project_id']}/instances"
        client = OneClient(port)
        listed = json.loads(client.ask(signed_get(port, instances, "", *keys)))
        took_s = time.perf_counter() - began
        instance = f"{instances}/{listed['instances'][0]['instance_id']}"
        tasks = json.loads(client.ask(signed_get(port, f"{instance}/tasks", "", *keys)))["tasks"]
        client.close()
        paths = {"instance": instance, "task": f"{instance}/tasks/{tasks[0]['id']}"}
        made = {what: signed_get(port, path, "", *keys) for what, path in paths.items()}
        yield took_s, process.pid, port, made
        process.stdin.close()
        process.wait(STARTS_WITHIN_S)


@contextmanager
def moto(folder: Path) -> Iterator[tuple[float, int, int, dict[str, bytes]]]:
    """As `backroom`; what it describes is a cluster of MSK, by both of its calls."""
    port = free_port()
    with (folder / "moto.log").open("wb") as log:
        began = time.perf_counter()
        process = subprocess.Popen([MOTO_SERVER, "-p", str(port)], stdout=log, stderr=log)
    try:
        _first_answer(process, port, _signed(port, "/v1/clusters"))
        took_s = time.perf_counter() - began
        arn = _cluster(port)
        paths = {"describe_cluster": "/v1/clusters", "describe_cluster_v2": "/api/v2/clusters"}
        made = {
            what: _signed(port, f"{path}/{quote(arn, safe='')}") for what, path in paths.items()
        }
        yield took_s, process.pid, port, made
    finally:
        process.terminate()
        process.wait(STARTS_WITHIN_S)


def _first_answer(process: "subprocess.Popen[bytes]", port: int, request: bytes) -> None:
    client = OneClient(port)
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(ConnectionRefusedError):
            client.ask(request)
            client.close()
            return
        time.sleep(TRY_AGAIN_S)
    raise TimeoutError(f"{MOTO} does not answer on {port}")


def _cluster(port: int) -> str:
    """The ARN of one that is as large as the instance it is compared with."""
    kafka = boto3.client(
        "kafka",
        region_name=REGION,
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=KEYS[0],
        aws_secret_access_key=KEYS[1],
    )
    nodes = {"ClientSubnets": ["subnet-1"], "InstanceType": "kafka.m5.large"}
    made = kafka.create_cluster(
        ClusterName="kafka-demo",
        KafkaVersion="2.7.0",
        NumberOfBrokerNodes=3,
        BrokerNodeGroupInfo=nodes,
    )
    return str(made["ClusterArn"])


def _signed(port: int, path: str) -> bytes:
    """A whole request, as boto3 sends it: moto finds service and region in the signature."""
    request = AWSRequest("GET", f"http://127.0.0.1:{port}{path}")
    SigV4Auth(Credentials(*KEYS), "kafka", REGION).add_auth(request)
    headers = {"Host": f"127.0.0.1:{port}", **request.headers}
    head = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
    return f"GET {path} HTTP/1.1\r\n{head}\r\n".encode()


def measure(sizes: Sizes, rounds: int) -> Results:
    # as pip did for moto: else each start compiles ours anew where Python may not keep it
    compileall.compile_dir(ROOT / "src", quiet=1)
    results = Results()
    subjects = {OURS: (backroom, sizes.requests), MOTO: (moto, sizes.peer_requests)}
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        for name, (serving, count) in subjects.items():
            with (
                tempfile.TemporaryDirectory() as folder,
                serving(Path(folder)) as (took_s, pid, port, requests),
            ):
                results.add("start, s", name, took_s)
                results.add("RSS at first, MB", name, rss_mb(pid))
                _ask(results, name, (port, pid), requests, count)
                results.add("RSS after all requests, MB", name, rss_mb(pid))
                if name == OURS:
                    _ask_hello(results, requests["instance"], count)
        for what, (wall_ms, cpu_ms) in _in_process(sizes.repeats).items():
            results.add("wall", f"{what}, ms", wall_ms)
            results.add("CPU", f"{what}, ms", cpu_ms)
    return results


def _ask(
    results: Results, name: str, server: tuple[int, int], requests: dict[str, bytes], count: int
) -> None:
    """Of `server`, a port and a process: where the scheduler puts it, then on one processor."""
    port, pid = server
    for what, request in requests.items():
        results.add(what + ANYWHERE, name, _per_s(port, request, count))
    with one_processor(pid):
        for what, request in requests.items():
            results.add(what, name, _per_s(port, request, count))


def _ask_hello(results: Results, request: bytes, count: int) -> None:
    """What the same client gets of a server that looks at nothing: the most there can be."""
    with contextlib.ExitStack() as stack:
        hello = bare_hello(stack, [request])
        _ask(results, HELLO, (hello.port, hello.pid), {"hello": request}, count)


def _per_s(port: int, request: bytes, count: int) -> float:
    client = OneClient(port)
    try:
        return client.per_s(request, count)
    finally:
        client.close()


def _in_process(repeats: int) -> dict[str, tuple[float, float]]:
    command = [sys.executable, "-m", "bench.in_process", str(repeats)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    told: dict[str, tuple[float, float]] = json.loads(done.stdout)
    return told


def ratios(results: Results) -> list[Ratio]:
    theirs, rss = results.median("describe_cluster_v2", MOTO), "RSS after all requests, MB"
    started = results.ratio("start, s", MOTO, OURS)
    return [
        Ratio(
            "requests per second, instance shown / moto's cluster described",
            over(results.median("instance", OURS), theirs), least=20,
        ),
        Ratio(
            "requests per second, task shown / moto's cluster described",
            over(results.median("task", OURS), theirs), least=20,
        ),
        Ratio("start to the first answer, moto / backroom", started, least=3),
        Ratio("RSS after all requests, backroom / moto", results.ratio(rss, OURS, MOTO), most=1),
    ]  # fmt: skip


def report(results: Results, made: list[Ratio], rounds: int) -> str:
    packages = ("granian", "apsw", "moto", "werkzeug", "boto3")
    calls = {
        OURS: ("instance", "task"),
        MOTO: ("describe_cluster", "describe_cluster_v2"),
        HELLO: ("hello",),
    }
    measured = ("start, s", "RSS at first, MB", "RSS after all requests, MB")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return "\n".join(
        [
            HEADING,
            "",
            f"{os.cpu_count()} cores, load {load} at the end, Python {platform.python_version()}, "
            + ", ".join(f"{name} {version(name)}" for name in packages)
            + f"; {rounds} rounds, each with servers just started.",
            "",
            *ratio_table(made),
            "",
            "| subject | call | requests per second, one client | of the rounds, least to most |",
            "|---|---|---|---|",
            *(
                f"| {name} | {what} | {figure(results.median(what, name))} | "
                f"{results.spread(what, name)} |"
                for name, whats in calls.items()
                for what in (*whats, *(one + ANYWHERE for one in whats))
            ),
            "",
            f"| | {OURS} | {MOTO} |",
            "|---|---|---|",
            *(
                f"| {what} | {figure(results.median(what, OURS))} | "
                f"{figure(results.median(what, MOTO))} |"
                for what in measured
            ),
            "",
            "| in a test's process | wall, ms | CPU, ms | budget of a quiet machine, ms |",
            "|---|---|---|---|",
            *(
                f"| {title} | {figure(results.median('wall', f'{what}, ms'))} | "
                f"{figure(results.median('CPU', f'{what}, ms'))} | {budget} |"
                for what, (title, budget) in BUDGETS_MS.items()
            ),
            "",
            NOTES,
        ]
    )


NOTES = """\
- One client sends a request, signed before, and waits for its answer before the next. It keeps
  its connection as long as the server does; moto's closes after each answer, and opening the
  next one counts. Backroom verifies each signature, moto looks at none.
- Client and server take turns on one processor, and the ratios are of that. On any processor, the
  scheduler puts them apart or together; apart, each request wakes idle processors, which here costs
  more than all that the bare hello does: its rounds fall into two groups by where it was put.
- The bare hello is granian with an ASGI application that looks at nothing of the same requests.
- A cluster of three brokers is described by DescribeClusterV2; DescribeCluster stands beside it.
  An instance of three brokers is shown by ShowInstance, a task by ShowBackgroundTask.
- The start is from the call that makes the process to the answer to the first list of instances
  or clusters, with the reading of the keys that were printed; moto loads what it serves with the
  first request. Both run from compiled modules, as pip leaves them; a source tree compiles its own
  at the first start, which takes twice as long, and at each one under PYTHONDONTWRITEBYTECODE.
"""


def main() -> int:
    options = _options()
    rounds = options.rounds or (1 if options.small else 7)
    results = measure(SMALL if options.small else Sizes(), rounds)
    made = ratios(results)
    text = report(results, made, rounds)
    print(text)
    if options.keep:
        keep_section(text)
        say("kept in docs/benchmarks.md")
    return 0 if all(ratio.is_kept for ratio in made) else 1


def _options() -> argparse.Namespace:
    options = parser("kit", __doc__)
    options.add_argument("--rounds", type=int, help="how often all is measured in turn [7]")
    options.add_argument("--small", action="store_true", help="seconds, and figures mean little")
    return options.parse_args()


if __name__ == "__main__":
    sys.exit(main())
