"""The variables that make each SDK find and trust this server.

Which variable does what for which SDK: docs/howto/point-an-sdk-here.md.
"""

from pathlib import Path

from backroom.bootstrap import Backroom
from backroom.certificates import make_certificates
from backroom.data_folder import last_served
from backroom.domain.account import AccessKey
from backroom.domain.errors import BackroomError
from backroom.domain.filter import Page
from backroom.domain.instance import InstanceFilter
from backroom.first_start import DEMO_INSTANCE, USER_NAME
from backroom.local_access import first_choice
from backroom.settings import PASSWORD_FILE, TLS_FOLDER, Settings


class NoKeyPair(BackroomError):
    pass


async def environment(backroom: Backroom) -> dict[str, str]:
    settings = backroom.settings
    key = await _key(backroom)
    endpoint = _endpoint(settings)
    region = settings.region.upper().replace("-", "_")
    variables = {
        "CLOUD_SDK_AK": key.access_key,
        "CLOUD_SDK_SK": key.secret_key,
        f"HUAWEICLOUD_SDK_REGION_KAFKA_{region}": endpoint,
        "HUAWEICLOUD_SDK_IAM_ENDPOINT": endpoint,
        **({} if settings.is_plain_http else _trust(settings)),
        "BACKROOM_ENDPOINT": endpoint,
        "BACKROOM_REGION": settings.region,
        "BACKROOM_PROJECT_ID": key.project_id,
        "BACKROOM_USER_NAME": key.user_name,
    }
    instance_id = await _instance_id(backroom, key)
    if instance_id is not None:
        variables["BACKROOM_INSTANCE_ID"] = instance_id
    password = settings.data / PASSWORD_FILE
    if key.user_name == USER_NAME and password.exists():
        variables["BACKROOM_USER_PASSWORD"] = backroom.around.vault.unseal(
            password.read_bytes()
        ).decode()
    return variables


def _trust(settings: Settings) -> dict[str, str]:
    files = make_certificates(settings.data / TLS_FOLDER)
    authority = str(files.authority)
    return {
        "REQUESTS_CA_BUNDLE": authority,
        "SSL_CERT_FILE": authority,
        "NODE_EXTRA_CA_CERTS": authority,
        "JAVA_TOOL_OPTIONS": _java_options(files.truststore, files.truststore_password),
    }


async def _key(backroom: Backroom) -> AccessKey:
    key = first_choice(await backroom.account_store.access_keys())
    if key is None:
        raise NoKeyPair("there is no key pair; make one: backroom keys add --help")
    return key


def _endpoint(settings: Settings) -> str:
    served = last_served(settings.data)
    if served is not None:
        return served.endpoint
    return f"{settings.scheme}://{settings.host}:{settings.port}"


async def _instance_id(backroom: Backroom, key: AccessKey) -> str | None:
    """The demo instance if it is still there, else the newest."""
    wanted = InstanceFilter(project_id=key.project_id)
    found, _ = await backroom.instances.find(wanted, Page(0, 50))
    named = [instance for instance in found if instance.name == DEMO_INSTANCE]
    return next((instance.id for instance in named + found), None)


def _java_options(truststore: Path, password: Path) -> str:
    return (
        f"-Djavax.net.ssl.trustStore={_java_quoted(str(truststore))} "
        "-Djavax.net.ssl.trustStoreType=PKCS12 "
        f"-Djavax.net.ssl.trustStorePassword={password.read_text('utf-8')}"
    )


def _java_quoted(value: str) -> str:
    """As the JVM reads options: no backslashes, a quote only inside the other kind of quotes."""
    return '"' + value.replace('"', """"'"'\"""") + '"'
