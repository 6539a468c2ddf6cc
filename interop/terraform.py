"""Terraform with the vendor's provider: an instance, a topic, the list of background tasks.

The provider is built by hand (docs/howto/point-an-sdk-here.md) and named by a variable. It waits
five minutes after a create and two after a delete before it looks, so a round takes eight.
"""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from interop import checking
from interop.coverage import RAN, Row
from interop.servers import Server

PROVIDER = "BACKROOM_TERRAFORM_PROVIDER"  # path of the binary
VERSION = "BACKROOM_TERRAFORM_PROVIDER_VERSION"  # what to call it in the record
ENDS_WITHIN_S = 1_200
CONFIGURATION = Path(__file__).resolve().parent.parent / "examples" / "terraform"
SHOWN_LINES = 12
NOTE = (
    "the provider was built from its source, with its own version of golangsdk. The Go module"
    " proxy serves neither: `403 Forbidden`, `This module version is not available`, for"
    " github.com/huaweicloud/terraform-provider-huaweicloud and github.com/chnsz/golangsdk."
)


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
        done = subprocess.run(
            [self._tool, *arguments],
            cwd=self._folder,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=ENDS_WITHIN_S,
            check=False,
        )
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


def outcome(server: Server, folder: Path) -> Row:
    tool = shutil.which("terraform") or shutil.which("tofu")
    if tool is None:
        return Row(away="neither terraform nor tofu is installed")
    provider = Path(os.environ.get(PROVIDER, ""))
    if not provider.is_file():
        return Row(away=f"{PROVIDER} names no provider that was built")
    terraform = Terraform(tool, provider, folder / "terraform", server)
    cells: dict[str, str] = {}
    _round(terraform, server, cells)
    versions = {
        Path(tool).name: terraform.version,
        "terraform-provider-huaweicloud": os.environ.get(VERSION, "built by hand"),
    }
    return Row(versions=versions, cells=cells, notes={"": NOTE})


@contextlib.contextmanager
def _cell(cells: dict[str, str], name: str) -> Iterator[None]:
    cells[f"terraform: {name}"] = RAN
    try:
        yield
    except (AssertionError, TerraformFailed, LookupError, TypeError) as problem:
        cells[f"terraform: {name}"] = f"failed: {problem}"


def _round(terraform: Terraform, server: Server, cells: dict[str, str]) -> None:
    with _cell(cells, "plan"):
        planned = terraform.run("plan", "-no-color")
        checking.must("Plan: 2 to add, 0 to change, 0 to destroy." in planned, "plan", planned)
    instance_id = ""
    with _cell(cells, "apply"):
        terraform.run("apply", "-auto-approve", "-no-color")
        kept = terraform.state()["huaweicloud_dms_kafka_instance"]
        instance_id = kept["id"]
        shown = server.shown(instance_id)
        assert shown is not None
        checking.same((shown.name, shown.status), (kept["name"], "RUNNING"), "the instance")
        checking.same(shown.connect_address, kept["connect_address"], "its addresses")
        checking.same(server.topics_of(instance_id), ["topic-terraform"], "its topics")
    with _cell(cells, "data source"):
        seen = terraform.state()["huaweicloud_dms_kafka_background_tasks"]["tasks"]
        stored = server.all_stored(instance_id)
        checking.must(len(seen) == len(stored) > 0, "how many tasks", seen)
        for task, wanted in zip(seen, stored, strict=True):
            checking.is_record(task, wanted)
    with _cell(cells, "plan again"):
        terraform.run("plan", "-detailed-exitcode", "-no-color")  # 2 if there were changes
    with _cell(cells, "destroy"):
        terraform.run("destroy", "-auto-approve", "-no-color")
        checking.must(bool(instance_id), "there was no instance to destroy")
        checking.same(server.shown(instance_id), None, "the instance")
