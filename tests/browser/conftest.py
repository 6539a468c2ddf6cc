"""Debian's Chromium on a real server. Screenshots are kept in build/screenshots."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support.processes import Served, backroom, serving

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
PACKAGES = ROOT / "build" / "browser"
CHROMIUM = Path(os.environ.get("BACKROOM_CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
NPM_WITHIN_S = 60
WIDTHS = {"desktop": (1280, 900), "phone": (360, 740)}


class Key(msgspec.Struct, frozen=True):
    access_key: str
    secret_key: str
    project_id: str


@pytest.fixture(scope="module")  # while it is open this thread has a running event loop
def browser() -> Iterator[Any]:
    sync = pytest.importorskip("playwright.sync_api", reason="./run test installs playwright")
    if not CHROMIUM.exists():
        pytest.skip(f"no {CHROMIUM}: apt-get install chromium, or set BACKROOM_CHROMIUM")
    with sync.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which looks for what keeps people from using a page."""
    found = PACKAGES / "node_modules" / "axe-core" / "axe.min.js"
    if not found.exists():
        if shutil.which("npm") is None:
            pytest.skip("no npm to fetch axe-core with: apt-get install npm")
        PACKAGES.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(PACKAGES)]
        command.append("axe-core@4")
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=NPM_WITHIN_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            pytest.skip(f"npm can't fetch axe-core: try `{' '.join(command)}` with a network")
    return found.read_text("utf-8")


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("console") / "data") as served:
        yield served


@pytest.fixture(scope="module")
def key(server) -> Key:
    printed = backroom("env", "--data", str(server.data)).stdout
    values = dict(
        line.removeprefix("export ").split("=", 1)
        for line in printed.splitlines()
        if line.startswith("export ")
    )
    names = ("CLOUD_SDK_AK", "CLOUD_SDK_SK", "BACKROOM_PROJECT_ID")
    return Key(*(values[name].strip("'") for name in names))


class Tab:
    """One window. Whatever its console complains of is kept, and fails the test at its end."""

    def __init__(self, browser: Any, server: Served, key: Key, **given: Any) -> None:
        width, height = WIDTHS[given.pop("size", "desktop")]
        about = {
            "ignore_https_errors": True,  # a CA that no browser knows
            "locale": "en-US",
            "timezone_id": "Asia/Shanghai",
            "viewport": {"width": width, "height": height},
        }
        self.context = browser.new_context(**about | given)
        self.context.set_default_timeout(10_000)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.expected: list[str] = []
        self._server = server
        self._key = key
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message: Any) -> None:
        is_bad = message.type in ("error", "warning")
        if is_bad and not any(words in message.text for words in self.expected):
            self.complaints.append(f"{message.text} {message.location.get('url', '')}")

    def open(self, target: str) -> Any:
        self.page.goto(f"{self._server.endpoint}{target}")
        return self.page

    def sign_in(self) -> "Tab":
        self.open("/console/sign-in")
        self.page.fill("#name", self._key.access_key)
        self.page.fill("#secret", self._key.secret_key)
        self.page.press("#secret", "Enter")
        self.page.wait_for_url("**/console/tasks")
        return self

    def shot(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(SCREENSHOTS / f"{name}.png"), full_page=True)

    def bind(self) -> str:
        """A task made with the form; the page is that task's then."""
        page = self.page
        self.open("/console/instances")
        page.click("td.main a")
        page.wait_for_url("**/instances/*-*")
        if page.locator(".changes a[href$='/unbind']").count():
            page.click(".changes a[href$='/unbind']")
            page.click("form.fields button.grave")
        else:
            page.click(".changes a[href$='/bind']")
            page.click("form.fields button.primary")
        page.wait_for_url("**/console/tasks/*")
        return str(page.url).partition("?")[0].rpartition("/")[2]

    def wait_for_state(self, state: str) -> None:
        self.page.wait_for_selector(f".title .chip.{state}")

    def close(self) -> None:
        self.context.close()
        assert self.complaints == []


@pytest.fixture
def tab(browser, server, key) -> Iterator[Tab]:
    opened = Tab(browser, server, key)
    yield opened
    opened.close()


@pytest.fixture
def another(browser, server, key) -> Iterator[Any]:
    """Makes windows of other languages, sizes and looks."""
    opened: list[Tab] = []

    def make(**given: Any) -> Tab:
        opened.append(Tab(browser, server, key, **given))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
