"""The one table from our errors to the wire's status, code and text."""

from collections.abc import Callable
from typing import Any

from backroom.api.exchange import Headers, Response, json_response
from backroom.domain import errors
from backroom.wire.error_codes import ErrorCode

_Detail = Callable[[Any], str]


def _nothing(_error: Exception) -> str:
    return ""


def _why(error: errors.InvalidInput) -> str:
    return f"{error.parameter} {error.why}." if error.why else ""


def _rule(error: errors.InvalidInput) -> str:
    return f"{error.why}."


def _parameter(error: errors.InvalidInput) -> str:
    return error.parameter


def _detail(error: errors.Unauthenticated) -> str:
    return error.detail


def _status(error: errors.InstanceNotReady) -> str:
    return f"The instance is {error.status}."


def _quota(error: errors.QuotaReached) -> str:
    return f"{error.what}: {error.limit}."


def _no_progress(error: errors.ProgressNotAvailable) -> str:
    return f"Only capacity expansion has a progress; {error.task_id} is {error.name}."


def _closed(error: errors.ScheduleClosed) -> str:
    return f"The scheduled task {error.task_id} has already {error.state}."


def _ended(error: errors.TaskEnded) -> str:
    return f"The task {error.task_id} has already {error.state}."


def _not_retryable(error: errors.TaskNotRetryable) -> str:
    return f"The task {error.task_id} can't be retried: {error.why}."


def _reused(_error: errors.ClientTokenReused) -> str:
    return "This X-Client-Token came with another request before."


def _moving(error: errors.PartitionsMoving) -> str:
    return f"Reassignment {error.why}."


def _room(error: errors.InsufficientDisk) -> str:
    return f"{error.why[:1].upper()}{error.why[1:]}."


def _remaining(error: errors.PartitionsExhausted) -> str:
    return f"Remaining: {error.remaining}."


def _no_brokers(_error: errors.KafkaUnavailable) -> str:
    return "Its brokers do not answer."


def _task(error: errors.TaskNotFound) -> str:
    return f"There is no such task on this instance: {error.task_id}."


def _allowed(error: errors.MethodNotAllowed) -> str:
    return f"Allowed: {error}."


def _limit(error: errors.BodyTooLarge | errors.HeadersTooLarge) -> str:
    return f"At most {error.limit_bytes} bytes."


TABLE: dict[type[errors.BackroomError], tuple[ErrorCode, _Detail]] = {
    errors.InvalidInput: (ErrorCode.INVALID_PARAMETER, _parameter),
    errors.InvalidProjectId: (ErrorCode.INVALID_PROJECT_ID, _nothing),
    errors.InvalidInstanceId: (ErrorCode.INVALID_INSTANCE_ID, _nothing),
    errors.InvalidTaskId: (ErrorCode.INVALID_TASK_ID, _nothing),
    errors.InvalidJson: (ErrorCode.INVALID_JSON, _why),
    errors.EmptyBody: (ErrorCode.EMPTY_BODY, _nothing),
    errors.InvalidName: (ErrorCode.INVALID_NAME, _nothing),
    errors.InvalidDescription: (ErrorCode.INVALID_DESCRIPTION, _nothing),
    errors.InvalidAccessUser: (ErrorCode.INVALID_ACCESS_USER, _nothing),
    errors.InvalidPassword: (ErrorCode.INVALID_PASSWORD, _why),
    errors.InvalidPublicAccess: (ErrorCode.INVALID_PUBLIC_ACCESS, _why),
    errors.InvalidMaintenanceWindow: (ErrorCode.INVALID_MAINTENANCE_WINDOW, _why),
    errors.InvalidStorage: (ErrorCode.INVALID_STORAGE, _why),
    errors.InvalidOffset: (ErrorCode.INVALID_OFFSET, _why),
    errors.InvalidTopicName: (ErrorCode.INVALID_TOPIC_NAME, _rule),
    errors.InvalidPartitionCount: (ErrorCode.INVALID_PARTITION_COUNT, _why),
    errors.InvalidReplicaCount: (ErrorCode.INVALID_REPLICA_COUNT, _nothing),
    errors.InvalidRetentionTime: (ErrorCode.INVALID_RETENTION_TIME, _rule),
    errors.InvalidConfig: (ErrorCode.INVALID_CONFIG, _why),
    errors.TooManyReplicas: (ErrorCode.TOO_MANY_REPLICAS, _why),
    errors.ProductNotFound: (ErrorCode.INVALID_PRODUCT, _why),
    errors.InvalidAction: (ErrorCode.INVALID_ACTION, _nothing),
    errors.InstancesMissing: (ErrorCode.NO_INSTANCES, _nothing),
    errors.InstanceRepeated: (ErrorCode.INSTANCE_REPEATED, _nothing),
    errors.TooManyInstances: (ErrorCode.TOO_MANY_INSTANCES, _nothing),
    errors.UnsupportedEngine: (ErrorCode.UNSUPPORTED_ENGINE, _why),
    errors.UnsupportedVersion: (ErrorCode.UNSUPPORTED_VERSION, _why),
    errors.Unauthenticated: (ErrorCode.UNAUTHENTICATED, _detail),
    errors.ProjectMismatch: (ErrorCode.PROJECT_MISMATCH, _nothing),
    errors.Forbidden: (ErrorCode.ROLE_FORBIDS, _nothing),
    errors.ReadOnlyRole: (ErrorCode.READ_ONLY, _nothing),
    errors.TaskNotFound: (ErrorCode.NOT_FOUND, _task),
    errors.InstanceNotFound: (ErrorCode.INSTANCE_NOT_FOUND, _nothing),
    errors.TopicNotFound: (ErrorCode.TOPIC_NOT_FOUND, _nothing),
    errors.RouteNotFound: (ErrorCode.NOT_FOUND, _nothing),
    errors.MethodNotAllowed: (ErrorCode.METHOD_NOT_ALLOWED, _allowed),
    errors.BodyTooLarge: (ErrorCode.BODY_TOO_LARGE, _limit),
    errors.HeadersTooLarge: (ErrorCode.HEADERS_TOO_LARGE, _limit),
    errors.TaskInFlight: (ErrorCode.TASK_IN_FLIGHT, _nothing),
    errors.InstanceNotReady: (ErrorCode.INSTANCE_NOT_READY, _status),
    errors.NameTaken: (ErrorCode.NAME_TAKEN, _nothing),
    errors.QuotaReached: (ErrorCode.QUOTA_REACHED, _quota),
    errors.ProgressNotAvailable: (ErrorCode.NOT_POSSIBLE, _no_progress),
    errors.ExpansionLimitReached: (ErrorCode.EXPANSION_LIMIT, _nothing),
    errors.ScheduleClosed: (ErrorCode.NOT_POSSIBLE, _closed),
    errors.TaskEnded: (ErrorCode.NOT_POSSIBLE, _ended),
    errors.TaskNotRetryable: (ErrorCode.NOT_POSSIBLE, _not_retryable),
    errors.ClientTokenReused: (ErrorCode.NOT_POSSIBLE, _reused),
    errors.TopicExists: (ErrorCode.TOPIC_EXISTS, _nothing),
    errors.PartitionsMoving: (ErrorCode.PARTITIONS_MOVING, _moving),
    errors.InsufficientDisk: (ErrorCode.INSUFFICIENT_DISK, _room),
    errors.PartitionsExhausted: (ErrorCode.PARTITIONS_EXHAUSTED, _remaining),
    errors.KafkaUnavailable: (ErrorCode.INSTANCE_NOT_READY, _no_brokers),  # [O] it is retried
    errors.TooManyStreams: (ErrorCode.BUSY, _nothing),
    errors.TooManyRequests: (ErrorCode.THROTTLED, _nothing),
    errors.StoreUnavailable: (ErrorCode.STORE_AWAY, _nothing),
}


def error_response(error: errors.BackroomError, request_id: str, *, in_chinese: bool) -> Response:
    """Whatever is not in the table is a bug of ours: 500, without its text."""
    code, text = _code_and_text(error, in_chinese=in_chinese)
    headers: Headers = []
    if isinstance(error, errors.MethodNotAllowed):
        headers.append((b"allow", str(error).encode()))
    if isinstance(error, (errors.StoreUnavailable, errors.TooManyStreams)):
        headers.append((b"retry-after", b"1"))
    if isinstance(error, errors.TooManyRequests):
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
    return _body(code, text, request_id, headers)


def error_texts(error: errors.BackroomError, *, in_chinese: bool) -> tuple[str, str]:
    """Code and text, for one item of an answer that is a success as a whole."""
    code, text = _code_and_text(error, in_chinese=in_chinese)
    return code.value.code, text


def _code_and_text(error: errors.BackroomError, *, in_chinese: bool) -> tuple[ErrorCode, str]:
    code, detail = next(
        (TABLE[kind] for kind in type(error).__mro__ if kind in TABLE),
        (ErrorCode.INTERNAL, _nothing),
    )
    text = _text(code, detail(error), in_chinese=in_chinese)
    if code is ErrorCode.INVALID_PARAMETER and isinstance(error, errors.InvalidInput):
        text = f"{text} {_why(error)}".rstrip()
    return code, text


def bug_response(request_id: str) -> Response:
    return _body(ErrorCode.INTERNAL, ErrorCode.INTERNAL.value.english, request_id, [])


def _text(code: ErrorCode, detail: str, *, in_chinese: bool) -> str:
    text = code.value.chinese if in_chinese else code.value.english
    return text.replace("{}", detail).rstrip()


def _body(code: ErrorCode, text: str, request_id: str, headers: Headers) -> Response:
    content = {"error_code": code.value.code, "error_msg": text, "request_id": request_id}
    return json_response(content, code.value.status, headers)
