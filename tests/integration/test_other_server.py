"""The application is plain ASGI: another server runs it just as well (docs/adr/0004)."""

import asyncio
import json
import socket
from http.client import HTTPConnection

import pytest
import uvicorn
from tests.support.bodies import login_body

from backroom.bootstrap import assemble
from backroom.first_start import prepare
from backroom.settings import PASSWORD_FILE, Settings

pytestmark = pytest.mark.slow


class Uvicorn(uvicorn.Server):
    def __init__(self, application) -> None:
        super().__init__(
            uvicorn.Config(application, log_level="error", access_log=False, lifespan="on")
        )
        self.is_up = asyncio.Event()

    async def startup(self, sockets=None) -> None:
        await super().startup(sockets)
        self.is_up.set()


async def served_by_uvicorn(backroom, ask):
    listener = socket.create_server(("127.0.0.1", 0))
    server = Uvicorn(backroom.application)
    serving = asyncio.create_task(server.serve([listener]))
    await server.is_up.wait()
    try:
        return await asyncio.to_thread(ask, listener.getsockname()[1])
    finally:
        server.should_exit = True
        await serving
        listener.close()


def test_uvicorn_serves_a_list_a_write_and_a_refusal(tmp_path):
    backroom = assemble(Settings(data=tmp_path))

    async def run():
        await prepare(backroom)
        (key,) = await backroom.account_store.access_keys()
        password = backroom.around.vault.unseal((tmp_path / PASSWORD_FILE).read_bytes()).decode()

        def ask(port):
            connection = HTTPConnection("127.0.0.1", port, timeout=20)

            def call(method, path, body=None, **headers):
                connection.request(method, path, body and json.dumps(body), headers)
                answer = connection.getresponse()
                return answer.status, answer.headers, answer.read()

            login = login_body(key.user_name, password, project={"id": key.project_id})
            status, headers, _ = call("POST", "/v3/auth/tokens", login)
            assert status == 201
            token = {"X-Auth-Token": headers["X-Subject-Token"]}
            status, _, body = call("GET", f"/v2/{key.project_id}/instances", **token)
            assert status == 200
            (instance,) = json.loads(body)["instances"]
            path = f"/v1/{key.project_id}/instances/{instance['instance_id']}/public-boundwidth"
            status, headers, body = call("POST", path, {"public_boundwidth": 5}, **token)
            assert (status, body) == (204, b"")
            assert headers["X-Request-Id"]
            tasks = f"/v2/{key.project_id}/instances/{instance['instance_id']}/tasks"
            listed = json.loads(call("GET", tasks, **token)[2])
            status, headers, body = call("GET", "/nowhere")
            assert status == 404
            assert json.loads(body)["request_id"] == headers["X-Request-Id"]
            connection.close()
            return listed

        return await served_by_uvicorn(backroom, ask)

    try:
        listed = asyncio.run(run())
    finally:
        backroom.close()
    assert listed["task_count"] == "1"
    assert listed["tasks"][0]["name"] == "bindInstancePublicIp"
