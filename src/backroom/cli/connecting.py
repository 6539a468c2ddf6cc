"""Which server a command talks to, and as whom: options, else --data, else environment, else home.

What is said on the command line never mixes with another place's key: a key goes only to the server
it was given for.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from backroom.cli.client import Server, shown_endpoint
from backroom.cli.exits import NotConnected
from backroom.cli.sentences import tell
from backroom.data_folder import default_data
from backroom.wire.signing_requests import RequestKey

# what `backroom env` prints, then what the official SDKs read
ENDPOINT: Final = ("BACKROOM_ENDPOINT",)
ACCESS_KEY: Final = ("CLOUD_SDK_AK", "HUAWEICLOUD_SDK_AK")
SECRET_KEY: Final = ("CLOUD_SDK_SK", "HUAWEICLOUD_SDK_SK")
SECURITY_TOKEN: Final = ("CLOUD_SDK_SECURITY_TOKEN", "HUAWEICLOUD_SDK_SECURITY_TOKEN")
PROJECT: Final = ("BACKROOM_PROJECT_ID", "HUAWEICLOUD_SDK_PROJECT_ID")
AUTHORITY: Final = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
INSTANCE: Final = "BACKROOM_INSTANCE_ID"


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """What the options say; None where they are silent."""

    endpoint: str | None = None
    project_id: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    data: Path | None = None
    authority: Path | None = None


def connected(
    said: Connection, environment: Mapping[str, str] = os.environ
) -> tuple[Server, str | None]:
    """The server, and the instance that the environment names with it. Raises NotConnected."""
    if said.data is not None or not (said.endpoint or _first(environment, ENDPOINT)):
        return _local(said, said.data or default_data()), None
    return _remote(said, environment), environment.get(INSTANCE) or None


def _remote(said: Connection, environment: Mapping[str, str]) -> Server:
    endpoint = said.endpoint or _first(environment, ENDPOINT) or ""
    access_key = said.access_key or _first(environment, ACCESS_KEY)
    secret_key = said.secret_key or _first(environment, SECRET_KEY)
    project_id = said.project_id or _first(environment, PROJECT)
    if not (access_key and secret_key):
        raise NotConnected(tell("no key", endpoint=shown_endpoint(endpoint)))
    if not project_id:
        raise NotConnected(tell("no project"))
    token = None if said.access_key else _first(environment, SECURITY_TOKEN)
    authority = _first(environment, AUTHORITY)
    return Server(
        endpoint=endpoint,
        key=RequestKey(access_key=access_key, secret_key=secret_key, security_token=token),
        project_id=project_id,
        authority=said.authority or (Path(authority) if authority else None),
    )


def _local(said: Connection, data: Path) -> Server:
    from backroom.domain.errors import StoreUnavailable  # noqa: PLC0415
    from backroom.local_access import NoLocalAccess, local_access  # noqa: PLC0415  only where needed

    folder = data.absolute()
    if said.data is None and not folder.exists():
        raise NotConnected(tell("no endpoint"))
    try:
        found = local_access(folder)
    except (NoLocalAccess, StoreUnavailable) as error:
        raise NotConnected(tell("no local access", why=error)) from None
    key = RequestKey(access_key=found.key.access_key, secret_key=found.key.secret_key)
    if said.access_key and said.secret_key:
        key = RequestKey(access_key=said.access_key, secret_key=said.secret_key)
    return Server(
        endpoint=said.endpoint or found.endpoint,
        key=key,
        project_id=said.project_id or found.key.project_id,
        authority=said.authority or found.authority,
    )


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((environment[name] for name in names if environment.get(name)), None)
