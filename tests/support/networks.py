"""Two hosts on one machine, with a cable between them that can be pulled: network namespaces."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

SUBNET = "10.213.7.0/24"
ADDRESSES = ("10.213.7.1", "10.213.7.2")
MISSING = (
    "needs network namespaces: run it as root with iproute2 and util-linux (ip, setpriv) installed;"
    " a container needs the capabilities SYS_ADMIN and NET_ADMIN"
)


@dataclass(frozen=True)
class Host:
    """`prefix` is what makes a command run there."""

    namespace: str
    address: str

    @property
    def prefix(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.namespace)


@dataclass(frozen=True)
class Cable:
    """Between two hosts that nobody else can reach."""

    near: Host
    far: Host

    def pull(self) -> None:
        """What either end sends is lost from now on, and nobody is told."""
        _ip("-n", self.near.namespace, "link", "set", "cable", "down")

    def plug(self) -> None:
        _ip("-n", self.near.namespace, "link", "set", "cable", "up")


@contextmanager
def two_hosts() -> Iterator[Cable]:
    """Skips where this machine can't have them."""
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("setpriv") is None:
        pytest.skip(MISSING)
    names = [f"backroom-{os.getpid()}-{end}" for end in ("near", "far")]
    hosts = [Host(*pair) for pair in zip(names, ADDRESSES, strict=True)]
    made = []
    try:
        for name in names:
            if not _may("netns", "add", name):
                pytest.skip(MISSING)
            made.append(name)
        near, far = names
        if not _may("link", "add", "cable", "netns", near, "type", "veth",
                    "peer", "name", "cable", "netns", far):  # fmt: skip
            pytest.skip(MISSING)
        for host in hosts:
            _ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "cable")
            _ip("-n", host.namespace, "link", "set", "cable", "up")
            _ip("-n", host.namespace, "link", "set", "lo", "up")
        yield Cable(*hosts)
    finally:
        for name in made:
            _ip("netns", "delete", name)


def _may(*arguments: str) -> bool:
    return subprocess.run(["ip", *arguments], capture_output=True, check=False).returncode == 0


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], capture_output=True, check=True)
