"""Terraform with the vendor's provider: an instance, a topic, the list of background tasks.

The provider is built by hand (docs/howto/point-an-sdk-here.md) and named by a variable. The server
is an emulator: a creation or deletion is over once the provider has seen it under way, and its own
time runs a hundred times as fast. What takes minutes are the provider's delays before it looks:
five after a create, two after a delete.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interop import checking
from interop.coverage import PROGRAMS, RAN, Row
from interop.servers import Server, serving

PROVIDER = "BACKROOM_TERRAFORM_PROVIDER"  # path of the binary
VERSION = "BACKROOM_TERRAFORM_PROVIDER_VERSION"  # what to call it in the record
ENDS_WITHIN_S = 1_200
CONFIGURATION = Path(__file__).resolve().parent.parent / "examples" / "terraform"
SHOWN_LINES = 12
CLOCK_SPEED = 100
VIRTUAL_TIME = (
    "--emulator", "--clock-speed", str(CLOCK_SPEED),
    "--transition", "createInstance=1reads", "--transition", "deleteInstance=1reads",
)  # fmt: skip
NOTE = "the provider was built from its source, with its own version of golangsdk."
LOOKS_LEAST = 2
TIMED = ("plan", "apply", "destroy")


class TerraformFailed(Exception):
    pass


class Terraform:
    def __init__(self, tool: str, provider: Path, folder: Path, server: Server) -> None:
        shutil.copytree(CONFIGURATION, folder)
        settings = folder / "terraform.rc"
        settings.write_text(
            "provider_installation {\n  dev_overrides {\n"
            f'    "huaweicloud/huaweicloud" = "{provider.parent}"\n'
            "  }\n  direct {}\n}\n"
        )
        self._tool, self._folder = tool, folder
        self.seconds: dict[str, float] = {}  # by command, of all its runs
        self._env = server.env | {
            "TF_CLI_CONFIG_FILE": str(settings),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            "TF_VAR_endpoint": server.endpoint,
            "TF_VAR_region": server.env["BACKROOM_REGION"],
            "HW_ACCESS_KEY": server.env["CLOUD_SDK_AK"],
            "HW_SECRET_KEY": server.env["CLOUD_SDK_SK"],
            "OS_CACERT": server.env["SSL_CERT_FILE"],
            "SKIP_CHECK_WEBSITE_TYPE": "true",  # else it asks a billing service
        }

    def run(self, *arguments: str, exit_code: int = 0) -> str:
        began = time.monotonic()
        done = subprocess.run(
            [self._tool, *arguments],
            cwd=self._folder,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=ENDS_WITHIN_S,
            check=False,
        )
        took_s = time.monotonic() - began
        self.seconds[arguments[0]] = self.seconds.get(arguments[0], 0.0) + took_s
        if done.returncode != exit_code:
            told = (done.stdout + done.stderr).strip().splitlines()
            raise TerraformFailed(f"exit code {done.returncode}: " + "\n".join(told[-SHOWN_LINES:]))
        return done.stdout

    def state(self) -> dict[str, Any]:
        """What Terraform keeps, by the kind of resource."""
        shown = json.loads(self.run("show", "-json"))
        found = shown["values"]["root_module"]["resources"]
        return {resource["type"]: resource["values"] for resource in found}

    @property
    def version(self) -> str:
        return str(json.loads(self.run("version", "-json"))["terraform_version"])


def outcome(folder: Path) -> Row:
    tool = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if tool is None:
        return Row(away="neither terraform nor tofu is installed")
    provider = Path(os.environ.get(PROVIDER, ""))
    if not provider.is_file():
        return Row(away=f"{PROVIDER} names no provider that was built")
    cells: dict[str, str] = {}
    asked: dict[str, Counted] = {}
    with serving(folder / "emulator", *VIRTUAL_TIME) as server:
        terraform = Terraform(tool, provider, folder / "terraform", server)
        _round(terraform, server, cells, asked)
        note = f"{NOTE} {times(terraform.seconds, asked)}"
        versions = {
            Path(tool).name: terraform.version,
            "terraform-provider-huaweicloud": os.environ.get(VERSION, "built by hand"),
        }
    return Row(versions=versions, cells=cells, notes={"": note})


@dataclass(frozen=True)
class Counted:
    """What the server itself counts: requests, and those of them that show an instance."""

    requests: int
    shows: int
    answering_s: float

    def __sub__(self, before: "Counted") -> "Counted":
        return Counted(
            self.requests - before.requests,
            self.shows - before.shows,
            self.answering_s - before.answering_s,
        )


def counted(metrics: str) -> Counted:
    return Counted(
        requests=int(_summed(metrics, "backroom_request_seconds_count", _NOT_OURS)),
        shows=int(_summed(metrics, "backroom_request_seconds_count", "ShowInstance")),
        answering_s=_summed(metrics, "backroom_request_seconds_sum", _NOT_OURS),
    )


_NOT_OURS = '(?!ShowMetrics")[^"]*'


def _summed(text: str, name: str, operation: str) -> float:
    labels = rf'{{(?:.*,)?operation="{operation}".*}}'
    return sum(map(float, re.findall(rf"^{name}{labels} (\S+)$", text, re.MULTILINE)))


def _counted_by(server: Server) -> Counted:
    answer = urllib.request.urlopen(f"{server.endpoint}/metrics", context=server.trust)
    return counted(answer.read().decode())


def require_looks(command: str, asked: Counted) -> None:
    """With `1reads` a task can't end before it was looked at; to see its end is another look."""
    checking.must(asked.shows >= LOOKS_LEAST, f"{command} looked too seldom", asked)


def times(seconds: Mapping[str, float], asked: Mapping[str, Counted]) -> str:
    took = ", ".join(f"{name} {seconds.get(name, 0):.0f} s" for name in TIMED)
    answered = "".join(
        f" To {command} it answered {one.requests} requests in {one.answering_s:.1f} s, {one.shows}"
        " of them for the instance itself."
        for command, one in asked.items()
    )
    return (
        f"Time of this run: {took}. The server's clock ran {CLOCK_SPEED} times as fast.{answered}"
        " The rest is the provider's own: it sleeps 300 s after a create and 120 s after a delete"
        " before its first look, then 10 or 15 s between two."
    )


@contextlib.contextmanager
def _cell(cells: dict[str, str], name: str) -> Iterator[None]:
    print(f"  {name} ...", file=sys.stderr, flush=True)
    cells[f"terraform: {name}"] = RAN
    try:
        yield
    except (AssertionError, TerraformFailed, LookupError, TypeError) as problem:
        cells[f"terraform: {name}"] = f"failed: {problem}"


def _round(
    terraform: Terraform, server: Server, cells: dict[str, str], asked: dict[str, Counted]
) -> None:
    with _cell(cells, "plan"):
        planned = terraform.run("plan", "-no-color")
        checking.must("Plan: 2 to add, 0 to change, 0 to destroy." in planned, "plan", planned)
    instance_id = ""
    with _cell(cells, "apply"):
        before = _counted_by(server)
        terraform.run("apply", "-auto-approve", "-no-color")
        asked["apply"] = _counted_by(server) - before  # before anything else here asks for it
        kept = terraform.state()["huaweicloud_dms_kafka_instance"]
        instance_id = kept["id"]
        shown = server.shown(instance_id)
        assert shown is not None
        checking.same((shown.name, shown.status), (kept["name"], "RUNNING"), "the instance")
        checking.same(shown.connect_address, kept["connect_address"], "its addresses")
        checking.same(server.topics_of(instance_id), ["topic-terraform"], "its topics")
        require_looks("apply", asked["apply"])
        _succeeded(server, instance_id, "createInstance")
    with _cell(cells, "data source"):
        seen = terraform.state()["huaweicloud_dms_kafka_background_tasks"]["tasks"]
        stored = server.all_stored(instance_id)
        checking.must(len(seen) == len(stored) > 0, "how many tasks", seen)
        for task, wanted in zip(seen, stored, strict=True):
            checking.is_record(task, wanted)
    with _cell(cells, "plan again"):
        terraform.run("plan", "-detailed-exitcode", "-no-color")  # 2 if there were changes
    with _cell(cells, "destroy"):
        before = _counted_by(server)
        terraform.run("destroy", "-auto-approve", "-no-color")
        asked["destroy"] = _counted_by(server) - before
        checking.must(bool(instance_id), "there was no instance to destroy")
        checking.same(server.shown(instance_id), None, "the instance")
        require_looks("destroy", asked["destroy"])
        _succeeded(server, instance_id, "deleteInstance")


def _succeeded(server: Server, instance_id: str, name: str) -> None:
    ended = [task for task in server.all_stored(instance_id) if task["name"] == name]
    checking.same([task["status"] for task in ended], ["SUCCESS"], name)
