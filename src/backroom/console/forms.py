"""Forms for what can be asked of instances: each becomes the body of the call of that name."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from backroom.console.asking import decode_reason, new_once, once_of, status_of
from backroom.console.filters import decode_moment
from backroom.console.surroundings import Choices, Surroundings
from backroom.console.visits import Pairs, Visit, led_to
from backroom.domain.account import require_operator
from backroom.domain.errors import (
    InvalidInput,
    KafkaUnavailable,
    OutcomeUnknown,
    Refused,
    StoreUnavailable,
    TopicNotFound,
)
from backroom.domain.filter import TaskSearch
from backroom.domain.ids import InstanceId
from backroom.domain.instance import Instance
from backroom.domain.topic import MIN_IN_SYNC
from backroom.operations.delete_instance import DELETE_INSTANCE, DeleteInstance
from backroom.operations.operation import Operation
from backroom.operations.restart_instance import RESTART_INSTANCE, RestartInstance
from backroom.service import ClientToken, Order

NUMBER_DIGITS_MOST: Final = 10
STORAGE_STEP_GB: Final = 100
MS_PER_HOUR: Final = 3_600_000

FieldKind = Literal[
    "text", "number", "select", "check", "checks", "area", "password", "moment", "hidden"
]


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """`label` and `help` are keys of the catalogue; `value` is what it begins with."""

    name: str
    label: str
    kind: FieldKind = "text"
    value: str = ""
    values: tuple[str, ...] = ()  # those ticked
    choices: tuple[tuple[str, str], ...] = ()
    suggestions: tuple[str, ...] = ()
    help: str = ""
    is_required: bool = False
    was: str = ""  # the value in force, where only a change is to be sent
    label_text: str = ""  # where the name is not ours


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """`fields` looks at what is there now; `call` and `body` are for the API's call."""

    name: str
    fields: "Callable[[FormPages, Visit, Instance], Awaitable[tuple[Field, ...]]]"
    call: str = ""
    body: "Callable[[Given, Instance], dict[str, Any]] | None" = None
    order: Operation[Any] | None = None
    is_grave: bool = False
    is_topics: bool = False  # done when it is answered: no task to show


class Given:
    """The values of a form, read one by one."""

    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs

    def text(self, name: str) -> str:
        return next((value.strip() for key, value in reversed(self._pairs) if key == name), "")

    def optional(self, name: str) -> str | None:
        return self.text(name) or None

    def all(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key == name and value]

    def number(self, name: str) -> int | None:
        """None where it was left empty. Raises InvalidInput."""
        text = self.text(name)
        if not text:
            return None
        return _number(name, text)

    def numbers(self, name: str) -> list[int]:
        return [_number(name, text) for text in self.all(name)]

    def is_on(self, name: str) -> bool:
        return bool(self.text(name))

    def is_changed(self, name: str) -> bool:
        """Another value than the page showed. A field of one line has lost what ended lines."""
        return _one_line(self.text(name)) != _one_line(self.text(f"was {name}"))

    def is_left_alone(self, name: str) -> bool:
        return name in self.all("known") and not self.is_changed(name)

    def moment(self, name: str) -> datetime | None:
        """UTC where no zone is given. Raises InvalidInput."""
        return decode_moment(name, self.text(name))


def _one_line(text: str) -> str:
    return text.replace("\r", "").replace("\n", "")


def _number(name: str, text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= NUMBER_DIGITS_MOST):
        raise InvalidInput(name, "must be a whole number")
    return int(text)


class FormPages:
    def __init__(self, around: Surroundings) -> None:
        self.around = around

    async def show_new(self, visit: Visit) -> Response:
        require_operator(visit.session.identity)
        return self._new_page(visit)

    async def submit_new(self, visit: Visit) -> Response:
        require_operator(visit.session.identity)
        try:
            answer = await self.around.calls.call(
                visit.session.identity, "CreatePostPaidKafkaInstance", {},
                _new_body(Given(visit.form)), once_of(visit), decode_reason(visit.value("reason")),
            )  # fmt: skip
        except (Refused, StoreUnavailable) as error:
            return self._new_page(visit, error)
        return led_to(visit, f"/console/instances/{answer['instance_id']}")

    def _new_page(self, visit: Visit, error: Refused | StoreUnavailable | None = None) -> Response:
        fields = _filled(new_fields(self.around.choices), visit)
        context = {"fields": fields, "form": None, "instance": None, "once": new_once()}
        return self._answered(visit, context, error)

    async def show(self, visit: Visit) -> Response:
        require_operator(visit.session.identity)
        return await self._page(visit, _form(visit))

    async def submit(self, visit: Visit) -> Response:
        require_operator(visit.session.identity)
        form = _form(visit)
        instance = await self._instance(visit)
        try:
            await self._submit(visit, form, instance)
        except (Refused, KafkaUnavailable, OutcomeUnknown, StoreUnavailable) as error:
            return await self._page(visit, form, error)
        if form.is_topics:
            return led_to(visit, f"/console/instances/{instance.id}#topics")
        return led_to(visit, await self._newest(visit, instance))

    async def _submit(self, visit: Visit, form: Form, instance: Instance) -> None:
        identity, once = visit.session.identity, once_of(visit)
        if form.order is not None:
            params = RestartInstance() if form.order is RESTART_INSTANCE else DeleteInstance()
            order = Order(
                operation=form.order,
                params=params,
                public={"instance_id": instance.id},
                reason=decode_reason(visit.value("reason")),
                request_id=visit.request.scope["backroom.request_id"],
                client_token=None if once is None else ClientToken(once, form.name.encode()),
            )
            await self.around.service.submit(identity, instance.id, order)
            return
        if form.body is None:
            raise HTTPException(404)
        body = form.body(Given(visit.form), instance)
        where = {"instance_id": instance.id}
        if form.is_topics:
            _raise_for_parts(await self.around.calls.call(identity, form.call, where, body))
            return
        reason = decode_reason(visit.value("reason"))
        await self.around.calls.call(identity, form.call, where, body, once, reason)

    async def _newest(self, visit: Visit, instance: Instance) -> str:
        """The page of the task just made."""
        wanted = TaskSearch(project_id=visit.project_id, instance_id=instance.id)
        found = await self.around.service.search(wanted, None, 1)
        if not found.tasks:
            return f"/console/instances/{instance.id}"
        return f"/console/tasks/{found.tasks[0].id}?made=1"

    async def _page(self, visit: Visit, form: Form, error: Any = None) -> Response:
        instance = await self._instance(visit)
        problem = error
        try:
            fields = await form.fields(self, visit, instance)
        except KafkaUnavailable as away:
            fields, problem = (), away
        context = {
            "fields": _filled(fields, visit), "form": form, "instance": instance,
            "once": new_once(),
        }  # fmt: skip
        return self._answered(visit, context, problem)

    def _answered(self, visit: Visit, context: dict[str, Any], error: Any) -> Response:
        shown: dict[str, Any] = {"problem": "", "code": "", "wrong": "", "reason": ""}
        if error is not None:
            code, text = self.around.error_texts(error, in_chinese=visit.in_chinese)
            wrong = getattr(error, "parameter", "")
            shown = {"problem": text, "code": code, "wrong": wrong}
            shown["reason"] = visit.value("reason")
        return visit.page("form.html", {**context, **shown}, status_of(error))

    async def _instance(self, visit: Visit) -> Instance:
        instance_id = InstanceId(visit.request.path_params["instance_id"])
        instance, _ = await self.around.shown.show(visit.project_id, instance_id)
        return instance


def _form(visit: Visit) -> Form:
    form = FORMS.get(visit.request.path_params["form"])
    if form is None:
        raise HTTPException(404)
    return form


def _filled(fields: tuple[Field, ...], visit: Visit) -> tuple[Field, ...]:
    """With what was sent, where the form is shown again; a password never.

    What was left alone is as it is now: somebody else may have changed it meanwhile.
    """
    if visit.request.method != "POST":
        return fields
    given = Given(visit.form)
    return tuple(
        field
        if field.kind == "password" or given.is_left_alone(field.name)
        else msgspec.structs.replace(
            field, value=given.text(field.name), values=tuple(given.all(field.name))
        )
        for field in fields
    )


def _raise_for_parts(answer: Any) -> None:
    """Of an answer about several things, the first that was refused."""
    parts = answer if isinstance(answer, dict) else {}
    for part in (*parts.get("topics", ()), *parts.get("failed_topics", ())):
        if isinstance(part, dict) and part.get("success") is False:
            raise InvalidInput(part.get("id", "topics"), part.get("error_msg", ""))


def new_fields(choices: Choices) -> tuple[Field, ...]:
    def options(words: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        return tuple((word, word) for word in words)

    return (
        Field(name="name", label="field_name", help="help_name", is_required=True),
        Field(name="description", label="field_description"),
        Field(
            name="engine_version", label="field_version", kind="select", value="2.7",
            choices=options(choices.versions),
        ),
        Field(
            name="product_id", label="field_product", kind="select", value="c6.2u4g.cluster",
            choices=options(choices.products),
        ),
        Field(name="broker_num", label="field_brokers", kind="number", value="3"),
        Field(
            name="storage_space", label="field_storage", kind="number", value="300",
            help="help_storage",
        ),
        Field(
            name="storage_spec_code", label="field_storage_kind", kind="select",
            value="dms.physical.storage.high.v2", choices=options(choices.storage_kinds),
        ),
        Field(name="vpc_id", label="field_vpc", value="backroom-vpc", is_required=True),
        Field(name="subnet_id", label="field_subnet", value="backroom-subnet", is_required=True),
        Field(
            name="security_group_id", label="field_security_group",
            value="backroom-security-group", is_required=True,
        ),
        Field(
            name="available_zones", label="field_zones", value="backroom-az1", help="help_commas",
            is_required=True,
        ),
        Field(name="access_user", label="field_access_user", help="help_access_user"),
        Field(name="password", label="field_password", kind="password"),
        Field(name="enable_auto_topic", label="field_auto_topics", kind="check"),
    )  # fmt: skip


def _new_body(given: Given) -> dict[str, Any]:
    user = given.optional("access_user")
    access = {"ssl_enable": True, "access_user": user, "password": given.text("password")}
    return {
        "engine": "kafka",
        "name": given.text("name"),
        "description": given.text("description"),
        "engine_version": given.text("engine_version"),
        "product_id": given.text("product_id"),
        "broker_num": given.number("broker_num"),
        "storage_space": given.number("storage_space"),
        "storage_spec_code": given.text("storage_spec_code"),
        "vpc_id": given.text("vpc_id"),
        "subnet_id": given.text("subnet_id"),
        "security_group_id": given.text("security_group_id"),
        "available_zones": _parts(given.text("available_zones")),
        "enable_auto_topic": given.is_on("enable_auto_topic"),
        **({} if user is None else access),
    }


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


async def _no_fields(_pages: FormPages, _visit: Visit, _instance: Instance) -> tuple[Field, ...]:
    return ()


async def _address_fields(
    _pages: FormPages, _visit: Visit, _instance: Instance
) -> tuple[Field, ...]:
    return (
        Field(name="publicip_id", label="field_addresses", help="help_addresses"),
        Field(name="bandwidth", label="field_bandwidth", kind="number", value="5"),
    )


def _bind_body(given: Given, _instance: Instance) -> dict[str, Any]:
    return {
        "publicip_id": given.optional("publicip_id"),
        "public_boundwidth": given.number("bandwidth"),
    }


def _unbind_body(_given: Given, _instance: Instance) -> dict[str, Any]:
    return {"publicip_id": "", "eip_address": "", "public_boundwidth": 0}


async def _extend_fields(pages: FormPages, visit: Visit, instance: Instance) -> tuple[Field, ...]:
    kinds = tuple((kind, visit.t(f"extend_{kind}")) for kind in _EXTENSIONS)
    larger = instance.storage_gb + STORAGE_STEP_GB * instance.broker_count
    return (
        Field(name="kind", label="field_extension", kind="select", value="storage", choices=kinds),
        Field(
            name="storage", label="field_new_storage", kind="number", value=str(larger),
            help="help_new_storage",
        ),
        Field(
            name="brokers", label="field_new_brokers", kind="number",
            value=str(instance.broker_count + 1), help="help_new_brokers",
        ),
        Field(
            name="product", label="field_new_product", kind="select", value=instance.product_id,
            choices=tuple((one, one) for one in pages.around.choices.products),
            help="help_new_product",
        ),
    )  # fmt: skip


_EXTENSIONS: Final = ("storage", "horizontal", "vertical")


def _extend_body(given: Given, _instance: Instance) -> dict[str, Any]:
    kind = given.text("kind")
    body: dict[str, Any] = {"oper_type": kind}
    if kind == "storage":
        body["new_storage_space"] = given.number("storage")
    elif kind == "horizontal":
        body["new_broker_num"] = given.number("brokers")
    elif kind == "vertical":
        body["new_product_id"] = given.text("product")
    return body


async def _config_fields(pages: FormPages, visit: Visit, instance: Instance) -> tuple[Field, ...]:
    shown = await pages.around.calls.call(
        visit.session.identity, "ShowInstanceConfigs", {"instance_id": instance.id}
    )
    return tuple(map(_config_field, shown["kafka_configs"]))


def _config_field(config: Mapping[str, str]) -> Field:
    words = config["valid_values"].split(",") if config["value_type"] == "enum" else []
    return Field(
        name=config["name"],
        label="",
        label_text=f"{config['name']}  [{config['valid_values'].replace('~', ' … ')}]",
        kind="select" if words else "number",
        value=config["value"],
        was=config["value"],
        choices=tuple((word, word) for word in words),
        help=f"config_{config['config_type']}",
    )


def _config_body(given: Given, _instance: Instance) -> dict[str, Any]:
    """Those that are another than the page showed them."""
    changed = [
        {"name": name, "value": given.text(name)}
        for name in given.all("known")
        if given.is_changed(name)
    ]
    return {"kafka_configs": changed}


async def _auto_topic_fields(
    _pages: FormPages, _visit: Visit, instance: Instance
) -> tuple[Field, ...]:
    value = "1" if instance.auto_create_topics else ""
    return (Field(name="enabled", label="field_auto_topics", kind="check", value=value),)


def _auto_topic_body(given: Given, _instance: Instance) -> dict[str, Any]:
    return {"enable_auto_topic": given.is_on("enabled")}


async def _topic_fields(_pages: FormPages, _visit: Visit, _instance: Instance) -> tuple[Field, ...]:
    return (
        Field(name="topic", label="field_topic", help="help_topic", is_required=True),
        Field(name="partitions", label="field_partitions", kind="number", value="3"),
        Field(name="replicas", label="field_replicas", kind="number", value="3"),
        Field(name="retention", label="field_retention", kind="number", value="72"),
        Field(name="synchronous", label="field_synchronous", kind="check"),
        Field(name="flush", label="field_flush", kind="check"),
        Field(name="description", label="field_description"),
    )


def _topic_body(given: Given, _instance: Instance) -> dict[str, Any]:
    return {
        "id": given.text("topic"),
        "partition": given.number("partitions"),
        "replication": given.number("replicas"),
        "retention_time": given.number("retention"),
        "sync_replication": given.is_on("synchronous"),
        "sync_message_flush": given.is_on("flush"),
        "topic_desc": given.text("description"),
    }


async def _partition_fields(
    pages: FormPages, visit: Visit, instance: Instance
) -> tuple[Field, ...]:
    name = _topic_name(visit)
    topic = (await pages.around.topics.show(visit.project_id, instance.id, name)).topic
    brokers = tuple(str(broker.id) for broker in instance.brokers)
    return (
        Field(name="topic", label="topic", kind="hidden", value=name),
        Field(
            name="partitions", label="field_new_partitions", kind="number", is_required=True,
            value=str(len(topic.partitions) + 1), help="help_new_partitions",
        ),
        Field(
            name="brokers", label="field_partition_brokers", kind="checks",
            choices=tuple((one, visit.t("broker_n", n=one)) for one in brokers),
            help="help_partition_brokers",
        ),
    )  # fmt: skip


def _partition_body(given: Given, _instance: Instance) -> dict[str, Any]:
    count = given.number("partitions")
    if count is None:
        raise InvalidInput("partitions", "must be a whole number")
    change = {
        "id": given.text("topic"),
        "new_partition_numbers": count,
        "new_partition_brokers": given.numbers("brokers"),
    }
    return {"topics": [change]}


async def _change_topic_fields(
    pages: FormPages, visit: Visit, instance: Instance
) -> tuple[Field, ...]:
    name = _topic_name(visit)
    shown = await pages.around.topics.list(visit.project_id, instance.id)
    if name not in shown.configs:
        raise TopicNotFound(name)
    configs, note = shown.configs[name], shown.notes.get(name)

    def value(config: str) -> str:
        return configs[config].value if config in configs else ""

    retention, in_sync = value("retention.ms"), configs.get(MIN_IN_SYNC)
    topic = next(one for one in shown.topics if one.name == name)
    copies = len(topic.partitions[0].replicas) if topic.partitions else 0
    is_synchronous = in_sync is not None and in_sync.is_override and int(in_sync.value) >= copies
    return (
        Field(name="topic", label="topic", kind="hidden", value=name),
        _known("retention", "field_retention", _hours(retention), "number"),
        _known("synchronous", "field_synchronous", "1" if is_synchronous else "", "check"),
        _known("flush", "field_flush", "1" if value("flush.messages") == "1" else "", "check"),
        _known("max.message.bytes", "field_message_bytes", value("max.message.bytes"), "number"),
        _known(
            "message.timestamp.type", "field_timestamps", value("message.timestamp.type"), "select",
            tuple((one, one) for one in ("LogAppendTime", "CreateTime")),
        ),
        _known("description", "field_description", "" if note is None else note.description),
    )  # fmt: skip


def _known(
    name: str,
    label: str,
    value: str,
    kind: FieldKind = "text",
    choices: tuple[tuple[str, str], ...] = (),
) -> Field:
    """A field of which only a change is sent."""
    return Field(name=name, label=label, kind=kind, value=value, was=value, choices=choices)


def _hours(text: str) -> str:
    """Of milliseconds; empty where it is for ever."""
    is_number = text.isascii() and text.isdigit()
    return str(int(text) // MS_PER_HOUR) if is_number else ""


def _change_topic_body(given: Given, _instance: Instance) -> dict[str, Any]:
    """What is another than the page showed it."""
    read: dict[str, tuple[str, Callable[[str], Any]]] = {
        "retention": ("retention_time", given.number),
        "synchronous": ("sync_replication", given.is_on),
        "flush": ("sync_message_flush", given.is_on),
        "description": ("topic_desc", given.text),
    }
    changed = [name for name in given.all("known") if given.is_changed(name)]
    if not changed:
        raise InvalidInput("topics", "must have at least one change")
    if "retention" in changed and not given.text("retention"):
        raise InvalidInput("retention", "must be a whole number of hours, and can't be taken away")
    others = [{"name": name, "value": given.text(name)} for name in changed if name not in read]
    change: dict[str, Any] = {"id": given.text("topic")}
    change |= {read[name][0]: read[name][1](name) for name in changed if name in read}
    if others:
        change["topic_other_configs"] = others
    return {"topics": [change]}


def _topic_name(visit: Visit) -> str:
    return visit.value("topic") or dict(visit.query).get("topic", "")


async def _some_topics(pages: FormPages, visit: Visit, instance: Instance) -> tuple[Field, ...]:
    return (await _topics_field(pages, visit, instance),)


async def _topics_field(pages: FormPages, visit: Visit, instance: Instance) -> Field:
    shown = await pages.around.topics.list(visit.project_id, instance.id)
    names = tuple(topic.name for topic in shown.topics if not topic.is_internal)
    return Field(
        name="topics", label="field_topics", kind="checks",
        choices=tuple((name, name) for name in names),
        values=tuple(visit.request.query_params.getlist("topic")),
    )  # fmt: skip


def _delete_topics_body(given: Given, _instance: Instance) -> dict[str, Any]:
    return {"topics": given.all("topics")}


async def _reassign_fields(pages: FormPages, visit: Visit, instance: Instance) -> tuple[Field, ...]:
    brokers = tuple(str(broker.id) for broker in instance.brokers)
    return (
        await _topics_field(pages, visit, instance),
        Field(
            name="brokers", label="field_onto_brokers", kind="checks", values=brokers,
            choices=tuple((one, visit.t("broker_n", n=one)) for one in brokers),
        ),
        Field(name="replicas", label="field_replicas", kind="number", help="help_replicas"),
        Field(name="throttle", label="field_throttle", kind="number", help="help_throttle"),
        Field(name="at", label="field_execute_at", kind="moment", help="help_execute_at"),
    )  # fmt: skip


def _reassign_body(given: Given, _instance: Instance) -> dict[str, Any]:
    brokers = given.numbers("brokers")
    at = given.moment("at")
    later = {} if at is None else {"is_schedule": True, "execute_at": round(at.timestamp() * 1000)}
    return {
        "reassignments": [
            {"topic": name, "brokers": brokers, "replication_factor": given.number("replicas")}
            for name in given.all("topics")
        ],
        "throttle": given.number("throttle"),
        **later,
    }


_ALL: Final = (
    Form(
        name="bind", fields=_address_fields, call="ModifyKafkaPublicIpAccessSwitch",
        body=_bind_body,
    ),
    Form(
        name="unbind", fields=_no_fields, call="ModifyKafkaPublicIpAccessSwitch",
        body=_unbind_body, is_grave=True,
    ),
    Form(name="restart", fields=_no_fields, order=RESTART_INSTANCE, is_grave=True),
    Form(name="extend", fields=_extend_fields, call="ResizeKafkaInstance", body=_extend_body),
    Form(name="configs", fields=_config_fields, call="ModifyInstanceConfigs", body=_config_body),
    Form(
        name="auto-topics", fields=_auto_topic_fields, call="UpdateInstanceAutoCreateTopic",
        body=_auto_topic_body,
    ),
    Form(
        name="new-topic", fields=_topic_fields, call="CreateInstanceTopic", body=_topic_body,
        is_topics=True,
    ),
    Form(
        name="topic", fields=_change_topic_fields, call="UpdateInstanceTopic",
        body=_change_topic_body, is_topics=True,
    ),
    Form(
        name="partitions", fields=_partition_fields, call="UpdateInstanceTopic",
        body=_partition_body, is_topics=True,
    ),
    Form(
        name="delete-topics", fields=_some_topics, call="BatchDeleteInstanceTopic",
        body=_delete_topics_body, is_topics=True, is_grave=True,
    ),
    Form(
        name="reassign", fields=_reassign_fields, call="CreateKafkaReassignmentTask",
        body=_reassign_body,
    ),
    Form(name="delete", fields=_no_fields, order=DELETE_INSTANCE, is_grave=True),
)  # fmt: skip
FORMS: Final[Mapping[str, Form]] = {form.name: form for form in _ALL}
