"""What commands rely on in an answer; whatever else comes with it is passed on as it is."""

from typing import Annotated, Any, NotRequired, TypedDict, TypeVar

import msgspec

from backroom.cli.exits import NotTheApi
from backroom.cli.sentences import tell

T = TypeVar("T")

Number = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,15}\Z")]  # [O] some counts are text


class OfficialTask(TypedDict):
    id: str
    name: NotRequired[str | None]
    status: str
    created_at: NotRequired[str | None]
    updated_at: NotRequired[str | None]


class OfficialTasks(TypedDict):
    tasks: list[OfficialTask]
    task_count: int | Number


class OneOfficialTask(TypedDict):
    tasks: Annotated[list[OfficialTask], msgspec.Meta(min_length=1)]


class Scheduled(TypedDict):
    id: str


class OfficialProgress(TypedDict):
    step_list: NotRequired[list[dict[str, Any]] | None]
    progress_percentage: NotRequired[float | None]
    remain_time: NotRequired[float | None]


class RunningTask(TypedDict):
    name: NotRequired[str | None]
    status: NotRequired[str | None]


class Instance(TypedDict):
    instance_id: str
    name: NotRequired[str]
    task: NotRequired[RunningTask | None]


class NewInstance(TypedDict):
    instance_id: str


class NamedInstance(TypedDict):
    instance_id: str
    name: str


class Instances(TypedDict):
    instances: list[NamedInstance]
    instance_num: int


class ActionResult(TypedDict):
    instance: str
    result: str


class ActionResults(TypedDict):
    results: NotRequired[list[ActionResult] | None]


class Topics(TypedDict):
    topics: list[dict[str, Any]]
    total: int


class Replica(TypedDict):
    broker: int


class Partition(TypedDict):
    partition: int
    leader: int | None
    replicas: list[Replica]


class Topic(TypedDict):
    partitions: list[Partition]


class DeletedTopic(TypedDict):
    id: str
    success: bool


class DeletedTopics(TypedDict):
    topics: list[DeletedTopic]


class Estimated(TypedDict):
    reassignment_time: float


class Step(TypedDict):
    name: str
    state: str


class NativeTask(TypedDict):
    id: str
    name: str
    state: str
    kind: str
    instance_id: str
    created_at: str
    ended_at: str | None
    error_code: str | None
    error_msg: str | None
    reason: str | None


class FoundTasks(TypedDict):
    tasks: list[NativeTask]
    cursor: str | None


class Progress(TypedDict):
    percent: float | None
    remaining_s: float | None


class Holder(TypedDict):
    id: str
    name: str


class Waits(TypedDict):
    why: str
    holder: Holder | None
    ahead: int
    expected_at: str | None


class FullTask(NativeTask):
    progress: Progress
    steps: list[Step]
    attempts: list[dict[str, Any]]
    changed: list[str] | None
    waits: Waits | None


class TaskId(TypedDict):
    task_id: str


class Event(TypedDict):
    sequence: int
    task_id: str


class Events(TypedDict):
    events: list[Event]


def shaped(answer: T, shape: Any) -> T:
    """The answer itself, with all its fields. Raises NotTheApi, which says where it is not so."""
    try:
        msgspec.convert(answer, shape)
    except (msgspec.ValidationError, RecursionError) as error:
        raise NotTheApi(tell("not the api", why=error)) from None
    return answer
