"""Real servers on loopback for the clients, and what those servers have stored."""

import asyncio
import json
import os
import select
import shlex
import sqlite3
import ssl
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkkafka import v2

from backroom.cli.opening import opened
from backroom.domain.account import Role
from backroom.domain.ids import ProjectId
from backroom.settings import DATABASE_FILE

BACKROOM = str(Path(sys.executable).with_name("backroom"))
READY_WITHIN_S = 30
ENDS_WITHIN_S = 20
TASK_ENDS_WITHIN_S = 60
POLL_S = 0.1
VIEWER = ("INTEROP-VIEWER", "secret-of-the-viewer")

# A state's word on the wire, said here once more: the server's own table is what is tested.
STATUS = {"succeeded": "SUCCESS", "failed": "FAILED", "cancelled": "FAILED"}


@dataclass(frozen=True)
class Server:
    """A server that answers, with the environment that `backroom env` prints for it."""

    data: Path
    endpoint: str
    home: Path
    _added: list[str] = field(default_factory=list)

    @cached_property
    def env(self) -> dict[str, str]:
        """Of a program whose shell has evaluated it; a home without the SDKs' files."""
        told = subprocess.run(
            [BACKROOM, "env", "--data", str(self.data)], capture_output=True, text=True, check=True
        )
        words = (word.partition("=") for word in shlex.split(told.stdout) if word != "export")
        return os.environ | {"HOME": str(self.home)} | {name: value for name, _, value in words}

    @property
    def project_id(self) -> str:
        return self.env["BACKROOM_PROJECT_ID"]

    @property
    def instance_id(self) -> str:
        return self.env["BACKROOM_INSTANCE_ID"]

    def session(self, *calls: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        """As in interop/programs.py; a change to None leaves the field out."""
        made = {
            "ak": self.env["CLOUD_SDK_AK"],
            "sk": self.env["CLOUD_SDK_SK"],
            "project_id": self.project_id,
            "instance_id": self.instance_id,
            "region": self.env["BACKROOM_REGION"],
            "region_endpoint": self.endpoint,
            "iam_endpoint": self.endpoint,
            "calls": list(calls),
        }
        return {name: value for name, value in (made | changes).items() if value is not None}

    def viewer(self) -> dict[str, str]:
        """The key of somebody who may only read."""
        if not self._added:
            asyncio.run(self._add_viewer())
            self._added.append(VIEWER[0])
        return {"ak": VIEWER[0], "sk": VIEWER[1]}

    async def _add_viewer(self) -> None:
        async with opened(self.data) as backroom:
            project = ProjectId(self.project_id)
            await backroom.accounts.add_key(None, *VIEWER, project, Role.VIEWER)

    def temporary_key(self) -> dict[str, str]:
        user = {
            "name": self.env["BACKROOM_USER_NAME"],
            "password": self.env["BACKROOM_USER_PASSWORD"],
            "domain": {"name": "backroom"},
        }
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"id": self.project_id}}
        asked = {"auth": {"identity": identity, "scope": scope}}
        token = self._post("/v3/auth/tokens", asked).headers["X-Subject-Token"]
        renewed = {"auth": {"identity": {"methods": ["token"], "token": {"id": token}}}}
        answer = self._post("/v3.0/OS-CREDENTIAL/securitytokens", renewed)
        made = json.load(answer)["credential"]
        return {"ak": made["access"], "sk": made["secret"], "security_token": made["securitytoken"]}

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            self.endpoint + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        return urllib.request.urlopen(request, context=self.trust)

    @cached_property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.env["SSL_CERT_FILE"])

    @cached_property
    def independent(self) -> v2.KafkaClient:
        """The Python SDK, for what is prepared or looked at beside the client under test."""
        config = HttpConfig.get_default_config()
        config.ssl_ca_cert = self.env["SSL_CERT_FILE"]
        keys = (self.env["CLOUD_SDK_AK"], self.env["CLOUD_SDK_SK"], self.project_id)
        return (
            v2.KafkaClient.new_builder()
            .with_credentials(BasicCredentials(*keys))
            .with_endpoint(self.endpoint)
            .with_http_config(config)
            .build()
        )

    def extended(self, storage_gb: int) -> str:
        """The id of a task that has extended the instance's disks."""
        asked = v2.ResizeEngineInstanceReq(oper_type="storage", new_storage_space=storage_gb)
        task_id: str = self.independent.resize_kafka_instance(
            v2.ResizeKafkaInstanceRequest(instance_id=self.instance_id, body=asked)
        ).job_id
        self._await(task_id)
        return task_id

    def bind_often(self, times: int) -> None:
        """More tasks, one after the other; equal writes in a second would be the same request."""
        for number in range(times):
            body = v2.ModifyKafkaPublicIPAccessSwitchReq(
                publicip_id=f"eip-{number}", public_boundwidth=5
            )
            self.independent.modify_kafka_public_ip_access_switch(
                v2.ModifyKafkaPublicIpAccessSwitchRequest(instance_id=self.instance_id, body=body)
            )
        self._await(self.all_stored()[0]["id"])

    def _await(self, task_id: str) -> None:
        until = time.monotonic() + TASK_ENDS_WITHIN_S
        while time.monotonic() < until:
            task = self.stored(task_id)
            if task is not None and task["status"] in STATUS.values():
                if task["status"] != "SUCCESS":
                    raise RuntimeError(f"the task failed: {task}")
                return
            time.sleep(POLL_S)
        raise RuntimeError(f"task {task_id} did not end within {TASK_ENDS_WITHIN_S} s")

    def brokers_of(self, topic: str) -> set[int]:
        request = v2.ShowInstanceTopicDetailRequest(instance_id=self.instance_id, topic=topic)
        parts = self.independent.show_instance_topic_detail(request).partitions
        return {replica.broker for part in parts for replica in part.replicas}

    def description_of(self, topic: str) -> str | None:
        request = v2.ListInstanceTopicsRequest(instance_id=self.instance_id, limit="200")
        topics = self.independent.list_instance_topics(request).topics
        return next((found.topic_desc for found in topics if found.name == topic), None)

    def name_instances(self, names: Sequence[str]) -> dict[str, str]:
        """As many instances, made by copying the one that is there. Returns ids by name.

        Written into the database: no call takes such names.
        """
        columns = "project_id, status, enterprise_project_id, created_at, version"
        copied = (
            f"INSERT INTO instances (id, name, document, {columns})"
            f" SELECT ?, ?, ?, {columns} FROM instances WHERE id = ?"
        )
        made = {name: str(uuid.uuid4()) for name in names}
        with closing(sqlite3.connect(self.data / DATABASE_FILE, timeout=10)) as connection:
            told = "SELECT document FROM instances WHERE id = ?"
            (text,) = connection.execute(told, (self.instance_id,)).fetchone()
            for name, made_id in made.items():
                document = json.dumps(json.loads(text) | {"id": made_id, "name": name})
                values = (made_id, name, document.encode(), self.instance_id)
                connection.execute(copied, values)
            connection.commit()
        return made

    def stored(self, task_id: str) -> dict[str, str] | None:
        """A task as it should be shown, from the database and not through the API."""
        found = self._rows("WHERE id = ?", task_id)
        return found[0] if found else None

    def all_stored(self, instance_id: str = "") -> list[dict[str, str]]:
        """Every background task of the instance, newest first."""
        where = "WHERE instance_id = ? AND kind = 'background' ORDER BY key DESC"
        return self._rows(where, instance_id or self.instance_id)

    def shown(self, instance_id: str) -> v2.ShowInstanceResponse | None:
        try:
            return self.independent.show_instance(v2.ShowInstanceRequest(instance_id=instance_id))
        except ClientRequestException as refused:
            if refused.status_code == 404:
                return None
            raise

    def topics_of(self, instance_id: str) -> list[str]:
        request = v2.ListInstanceTopicsRequest(instance_id=instance_id, limit="200")
        return [topic.name for topic in self.independent.list_instance_topics(request).topics]

    def _rows(self, where: str, value: str) -> list[dict[str, str]]:
        columns = "id, name, user_name, user_id, params, state, created_at, updated_at"
        path = self.data / DATABASE_FILE
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute(f"SELECT {columns} FROM tasks {where}", (value,)).fetchall()
        return [_shown(dict(row)) for row in rows]


def _shown(row: dict[str, str]) -> dict[str, str]:
    return {"status" if name == "state" else name: value for name, value in row.items()} | {
        "status": STATUS.get(row["state"], "CREATED")
    }


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Server]:
    """A server on a free port with an empty data folder, while it answers."""
    home, data = folder / "home", folder / "data"
    home.mkdir(parents=True)
    command = [BACKROOM, "serve", "--port", "0", "--data", str(data), *arguments]
    with (
        (folder / "server.log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            readable, _, _ = select.select([process.stdout], [], [], READY_WITHIN_S)
            line = process.stdout.readline() if readable else ""
            word, _, endpoint = line.strip().partition(" ")
            if word != "ready":
                raise RuntimeError(f"the server did not start: {line!r}")
            yield Server(data, endpoint, home)
        finally:
            process.terminate()
            process.wait(ENDS_WITHIN_S)
