"""The pytest plugin: fixtures `backroom` and `backroom_client`. Loaded by its entry point."""

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from backroom.testing.server import InProcessServer

SECTION = "Backroom: tasks of this test"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("backroom_tls", "serve fixture `backroom` over TLS", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "backroom(tls=False, seed=None): how fixture `backroom` is served, and what is in it",
    )


class _Servers:
    """Of this process: at most one with TLS and one without, started when first asked for."""

    def __init__(self) -> None:
        self._started: dict[bool, InProcessServer] = {}

    def get(self, *, tls: bool) -> "InProcessServer":
        from backroom.testing.server import InProcessServer  # noqa: PLC0415  on demand

        if tls not in self._started:
            self._started[tls] = InProcessServer(tls=tls).start()
        return self._started[tls]

    def stop(self) -> None:
        for server in self._started.values():
            server.stop()


@pytest.fixture(scope="session")
def _backroom_servers() -> Iterator[_Servers]:
    servers = _Servers()
    yield servers
    servers.stop()


@pytest.fixture
def backroom(request: pytest.FixtureRequest, _backroom_servers: _Servers) -> "InProcessServer":
    """A server of this test's own, as far as it can tell: empty, its clock running.

    One project and one admin's key are there, and what `@pytest.mark.backroom(seed=...)` says.
    """
    marker = request.node.get_closest_marker("backroom")
    asked: dict[str, Any] = {} if marker is None else dict(marker.kwargs)
    tls = asked.pop("tls", request.config.getini("backroom_tls"))
    seed = asked.pop("seed", None)
    if asked:
        raise pytest.UsageError(f"@pytest.mark.backroom knows no {', '.join(asked)}")
    server = _backroom_servers.get(tls=tls)
    server.reset(to_empty=True)
    if seed is not None:
        server.seed(seed)
    return server


@pytest.fixture
def backroom_client(backroom: "InProcessServer") -> Iterator[Any]:
    """The official SDK's KafkaClient for fixture `backroom`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK's own
        client = _client(backroom)
        yield client


def _client(server: "InProcessServer") -> Any:
    sdk = pytest.importorskip(
        "huaweicloudsdkkafka.v2", reason="needs the official SDK: pip install huaweicloudsdkkafka"
    )
    from huaweicloudsdkcore.auth.credentials import BasicCredentials  # noqa: PLC0415
    from huaweicloudsdkcore.http.http_config import HttpConfig  # noqa: PLC0415

    config = HttpConfig.get_default_config()
    if server.ca_path is not None:
        config.ssl_ca_cert = str(server.ca_path)
    return (
        sdk.KafkaClient.new_builder()
        .with_credentials(BasicCredentials(server.ak, server.sk, server.project_id))
        .with_endpoint(server.endpoint)
        .with_http_config(config)
        .build()
    )


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome: Any = yield
    report: pytest.TestReport = outcome.get_result()
    server = getattr(item, "funcargs", {}).get("backroom")
    if report.when == "call" and report.failed and server is not None:
        report.sections.append((SECTION, server.timeline()))
