"""A client over HTTP that outlives the server it asks, and notes what was acknowledged."""

import json
import os
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

from tests.support.bodies import login_body
from tests.support.processes import environment

BIND = {"publicip_id": "1aea7aed-e7d8-40ea-b3de-6f3ee9d5db9f", "public_boundwidth": 5}
UNBIND = {"publicip_id": "", "public_boundwidth": 0, "eip_address": ""}
ANSWERS_WITHIN_S = 20.0
SEED = int(os.environ.get("BACKROOM_TEST_SEED", "20260102"))
GONE = (HTTPException, OSError)


def chances(seed: int) -> Random:
    return Random(seed)  # noqa: S311  a test that can be repeated


class Client:
    """Of the user that the first start on `data` made. `port` is where it asks from now on.

    `acknowledged` are ids of requests that were answered by a 2xx, and made a task.
    """

    def __init__(self, data: Path, port: int) -> None:
        self._env = environment(data)
        self.port = port
        self.project_id = self._env["BACKROOM_PROJECT_ID"]
        self.instance_id = self._env["BACKROOM_INSTANCE_ID"]
        self.acknowledged: list[str] = []
        self._headers: dict[str, str] = {}

    def ask(self, method: str, path: str, body: Any = None) -> tuple[HTTPResponse, bytes]:
        """`path` may name {project}. Logged in before the first."""
        if not self._headers:
            self._headers = {"X-Auth-Token": self._login()}
        return self._ask(method, path.format(project=self.project_id), body)

    def _ask(self, method: str, path: str, body: Any) -> tuple[HTTPResponse, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=ANSWERS_WITHIN_S)
        with closing(connection):
            connection.request(method, path, body and json.dumps(body), self._headers)
            answer = connection.getresponse()
            return answer, answer.read()

    def _login(self) -> str:
        body = login_body(
            self._env["BACKROOM_USER_NAME"],
            self._env["BACKROOM_USER_PASSWORD"],
            project={"id": self.project_id},
        )
        answer, _ = self._ask("POST", "/v3/auth/tokens", body)
        assert answer.status == 201, answer.status
        return answer.headers["X-Subject-Token"]

    def _submit(self, path: str, body: Any) -> tuple[int, bytes]:
        answer, said = self.ask("POST", path, body)
        if answer.status in {200, 202, 204}:
            self.acknowledged.append(answer.headers["X-Request-Id"])
        return answer.status, said

    def switch_public_access(self, body: Any, instance_id: str | None = None) -> tuple[int, bytes]:
        """The status, and what was said: 204, or 503 while the store is away."""
        instance_id = instance_id or self.instance_id
        path = f"/v1/{{project}}/instances/{instance_id}/public-boundwidth"
        return self._submit(path, body)

    def switch_auto_topic(self, instance_id: str) -> tuple[int, bytes]:
        path = f"/v2/{{project}}/instances/{instance_id}/autotopic"
        return self._submit(path, {"enable_auto_topic": True})

    def restart(self, instance_id: str) -> bool:
        """False where it is being restarted already: nothing was written."""
        status, said = self._submit(
            "/v2/{project}/instances/action", {"action": "restart", "instances": [instance_id]}
        )
        assert status == 200, said
        (result,) = json.loads(said)["results"]
        if result["result"] != "success":
            self.acknowledged.pop()
        return result["result"] == "success"

    def cancel(self, task_id: str) -> int:
        """202, or 400 where it has ended by then."""
        answer, _ = self.ask("POST", f"/backroom/v1/{{project}}/tasks/{task_id}/cancel")
        return answer.status

    def list(self, instance_id: str | None = None) -> tuple[int, bytes]:
        path = f"/v2/{{project}}/instances/{instance_id or self.instance_id}/tasks"
        answer, said = self.ask("GET", path)
        return answer.status, said


class KeptAlive(Client):
    """Over one connection, which is there before it asks.

    `spent_s`: from the last request's first byte to its answer's last.
    """

    def __init__(self, data: Path, port: int) -> None:
        super().__init__(data, port)
        self._connection = HTTPConnection("127.0.0.1", port, timeout=ANSWERS_WITHIN_S)
        self.close = self._connection.close
        self.spent_s = 0.0

    def _ask(self, method: str, path: str, body: Any) -> tuple[HTTPResponse, bytes]:
        if self._connection.sock is None:
            self._connection.connect()
        begun = monotonic()
        self._connection.request(method, path, body and json.dumps(body), self._headers)
        answer = self._connection.getresponse()
        said = answer.read()
        self.spent_s = monotonic() - begun
        return answer, said


class Crowd:
    """Asks for all kinds of changes of some instances, by chance, and now and then cancels one."""

    def __init__(self, client: Client, instances: list[str], chance: Random) -> None:
        self.client = client
        self._instances = instances
        self.chance = chance

    def submit(self, count: int, running: list[str]) -> None:
        """Until the server is gone: what was on its way then may be there or not."""
        try:
            for _ in range(count):
                self._submit_one()
            if running and self.chance.random() < 0.3:
                self.client.cancel(self.chance.choice(running))
        except GONE:
            return

    def _submit_one(self) -> None:
        instance_id = self.chance.choice(self._instances)
        if self.chance.random() < 0.05:
            self.client.restart(instance_id)
            return
        body = self.chance.choice([BIND, UNBIND])
        status, said = self.client.switch_public_access(body, instance_id)
        assert status == 204 or b"The instance is " in said, (status, said)
