"""Changes of instances: bodies of the official calls, and the tasks that they make."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import typer

from backroom.cli.durations import seconds_of
from backroom.cli.exits import REFUSED
from backroom.cli.instances import PASSWORD_VARIABLE
from backroom.cli.secret_input import given_secret
from backroom.cli.sentences import tell
from backroom.cli.session import Session
from backroom.cli.shapes import ActionResults, NewInstance, shaped
from backroom.cli.submitted import Submitted, submitted, tell_submitted
from backroom.wire.answers import submitted_task_id


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A new instance, as options say it."""

    name: str
    brokers: int
    storage_gb: int
    flavor: str
    kafka: str
    description: str
    user: str | None
    password: str | None
    password_file: Path | None = None
    vpc: str
    subnet: str
    security_group: str
    zones: tuple[str, ...]
    body: Path | None


class Extension(msgspec.Struct, frozen=True, kw_only=True):
    storage_gb: int | None
    brokers: int | None
    flavor: str | None
    public_ips: tuple[str, ...]


def create_instance(
    session: Session, asked: Asked, *, is_awaited: bool, timeout: str | None
) -> None:
    timeout_s = seconds_of(timeout, "--timeout")
    answer = session.calls.create_instance(create_body(asked))
    instance_id = shaped(answer.json, NewInstance)["instance_id"]
    made = submitted(session, instance_id, "createInstance", answer)
    tell_submitted(session, [made], timeout_s, is_awaited=is_awaited)


def create_body(asked: Asked) -> dict[str, Any]:
    """Raises typer.BadParameter."""
    content: dict[str, Any] = {
        "name": asked.name,
        "description": asked.description,
        "engine": "kafka",
        "engine_version": asked.kafka,
        "broker_num": asked.brokers,
        "storage_space": asked.storage_gb,
        "storage_spec_code": "dms.physical.storage.high.v2",
        "product_id": asked.flavor,
        "vpc_id": asked.vpc,
        "subnet_id": asked.subnet,
        "security_group_id": asked.security_group,
        "available_zones": list(asked.zones),
    }
    if asked.user is not None:
        content |= {"ssl_enable": True, "access_user": asked.user, "password": _password(asked)}
    return content | _more(asked.body)


def _password(asked: Asked) -> str:
    given = given_secret(asked.password, asked.password_file, "--password")
    password = given or os.environ.get(PASSWORD_VARIABLE)
    if not password:
        raise typer.BadParameter("is empty", param_hint="--password")
    return password


def _more(body: Path | None) -> dict[str, Any]:
    if body is None:
        return {}
    try:
        found = json.loads(body.read_bytes())
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{body}: {error}", param_hint="--body") from None
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{body}: no JSON object", param_hint="--body")
    return found


def delete_instances(
    session: Session, named: Sequence[str], *, is_sure: bool, is_awaited: bool, timeout: str | None
) -> None:
    ids = _ids(session, named)
    names = ", ".join(
        f"{name} ({instance_id})" for name, instance_id in zip(named, ids, strict=True)
    )
    session.confirm(tell("confirm instances", names=names), is_sure=is_sure)
    _act(session, "delete", "deleteInstance", ids, seconds_of(timeout, "--timeout"), is_awaited)


def restart_instances(
    session: Session, named: Sequence[str], *, is_awaited: bool, timeout: str | None
) -> None:
    timeout_s = seconds_of(timeout, "--timeout")
    _act(session, "restart", "restartInstance", _ids(session, named), timeout_s, is_awaited)


def extend_instance(
    session: Session, named: str, extension: Extension, *, is_awaited: bool, timeout: str | None
) -> None:
    timeout_s = seconds_of(timeout, "--timeout")
    content = extend_body(extension)
    instance_id = session.instance(named)
    answer = session.calls.extend_instance(instance_id, content)
    made = Submitted(
        task_id=submitted_task_id(answer.json), name="extendInstance", instance_id=instance_id
    )
    tell_submitted(session, [made], timeout_s, is_awaited=is_awaited)


def extend_body(extension: Extension) -> dict[str, Any]:
    """Raises typer.BadParameter unless it is one kind."""
    kinds = {
        "horizontal": extension.brokers,
        "vertical": extension.flavor,
        "storage": None if extension.brokers is not None else extension.storage_gb,
    }
    said = [kind for kind, value in kinds.items() if value is not None]
    if len(said) != 1 or (said == ["vertical"] and extension.storage_gb is not None):
        raise typer.BadParameter("say one of them", param_hint="--storage, --brokers, --flavor")
    if extension.public_ips and said != ["horizontal"]:
        raise typer.BadParameter("goes with --brokers", param_hint="--public-ip")
    content: dict[str, Any] = {
        "oper_type": said[0],
        "new_storage_space": extension.storage_gb,
        "new_broker_num": extension.brokers,
        "new_product_id": extension.flavor,
        "publicip_id": ",".join(extension.public_ips) or None,
    }
    return {name: value for name, value in content.items() if value is not None}


def switch_public_ip(
    session: Session,
    named: str,
    content: Mapping[str, Any],
    *,
    is_on: bool,
    is_awaited: bool,
    timeout: str | None,
) -> None:
    timeout_s = seconds_of(timeout, "--timeout")
    instance_id = session.instance(named)
    answer = session.calls.switch_public_ip(instance_id, content)
    name = "bindInstancePublicIp" if is_on else "unbindInstancePublicIp"
    made = submitted(session, instance_id, name, answer)
    tell_submitted(session, [made], timeout_s, is_awaited=is_awaited)


def _ids(session: Session, named: Sequence[str]) -> list[str]:
    return [session.instance(name) for name in dict.fromkeys(named)]


def _act(
    session: Session,
    action: str,
    task_name: str,
    ids: Sequence[str],
    timeout_s: float | None,
    is_awaited: bool,
) -> None:
    answer = session.calls.act_on_instances(action, ids)
    results = shaped(answer.json, ActionResults).get("results") or [
        {"instance": instance_id, "result": "success"} for instance_id in ids
    ]
    refused = [one["instance"] for one in results if one["result"] != "success"]
    made = [
        submitted(session, one["instance"], task_name, answer)
        for one in results
        if one["result"] == "success"
    ]
    for instance_id in refused:
        typer.echo(tell("instance not accepted", id=instance_id), err=True)
    if made:
        tell_submitted(session, made, timeout_s, is_awaited=is_awaited)
    if refused:
        raise typer.Exit(REFUSED)
