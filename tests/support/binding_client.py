"""Asks a served process for public access again and again, over one connection."""

import json
from http.client import HTTPConnection

from tests.support.bodies import login_body
from tests.support.processes import environment

BIND = {"publicip_id": "1aea7aed-e7d8-40ea-b3de-6f3ee9d5db9f", "public_boundwidth": 5}
CODE = "DMS.00500000"


class BindingClient:
    def __init__(self, served):
        self._env = environment(served.data)
        self._connection = HTTPConnection("127.0.0.1", served.port, timeout=20)
        self.close = self._connection.close
        login = login_body(
            self._env["BACKROOM_USER_NAME"],
            self._env["BACKROOM_USER_PASSWORD"],
            project={"id": self._env["BACKROOM_PROJECT_ID"]},
        )
        status, headers, _ = self._ask("POST", "/v3/auth/tokens", login, {})
        assert status == 201
        self._token = {"X-Auth-Token": headers["X-Subject-Token"]}
        self.acknowledged = []

    def _ask(self, method, path, body, headers):
        content = None if body is None else json.dumps(body)
        self._connection.request(method, path, content, headers)
        answer = self._connection.getresponse()
        read = answer.read()
        return answer.status, answer.headers, json.loads(read) if read else None

    def _path(self, version, rest):
        project, instance = self._env["BACKROOM_PROJECT_ID"], self._env["BACKROOM_INSTANCE_ID"]
        return f"/{version}/{project}/instances/{instance}/{rest}"

    def bind(self):
        """204, or 503 as it is documented; nothing else."""
        path = self._path("v1", "public-boundwidth")
        status, headers, body = self._ask("POST", path, BIND, self._token)
        if status == 204:
            self.acknowledged.append(headers["X-Request-Id"])
        else:
            assert (status, body["error_code"], headers["Retry-After"]) == (503, CODE, "1")
        return status

    def tasks(self):
        status, _, body = self._ask("GET", self._path("v2", "tasks"), None, self._token)
        assert status == 200
        return [task["status"] for task in body["tasks"]]
