"""Everything that can go wrong on purpose.

BackroomError
├── Refused                  the caller asked for something that can't be had; nothing was written
│   ├── InvalidInput         a value is malformed or out of range
│   │   ├── InvalidProjectId · InvalidInstanceId · InvalidTaskId
│   │   ├── InvalidJson · EmptyBody · InvalidName · InvalidPublicAccess
│   │   ├── ProductNotFound · InvalidStorage · InvalidPassword · UnsupportedEngine
│   │   ├── UnsupportedVersion · InvalidDescription · InvalidAccessUser · InvalidMaintenanceWindow
│   │   ├── InvalidOffset · InvalidTopicName · InvalidPartitionCount · InvalidReplicaCount
│   │   ├── InvalidRetentionTime · InvalidConfig · TooManyReplicas
│   │   └── InvalidAction · InstancesMissing · InstanceRepeated · TooManyInstances
│   ├── Unauthenticated      no identity, or one that doesn't hold
│   ├── ProjectMismatch      the path names a project that is not the identity's, or none at all
│   ├── Forbidden            the identity may not do this
│   │   └── ReadOnlyRole · AdminOnly
│   ├── NotFound             missing, or another project's: the two look alike
│   │   └── TaskNotFound · InstanceNotFound · RouteNotFound · TopicNotFound
│   ├── MethodNotAllowed
│   ├── BodyTooLarge · HeadersTooLarge · TooManyStreams · TooManyRequests
│   └── Conflict             legal in itself, but not now
│       └── TaskInFlight · InstanceNotReady · NameTaken · QuotaReached · ProgressNotAvailable
│           · ScheduleClosed · TaskEnded · TaskNotRetryable · ClientTokenReused
│           · ExpansionLimitReached · TopicExists · PartitionsMoving · PartitionsExhausted
│           · InsufficientDisk
├── ClientTokenTaken         the token came with another submit just now: look at its receipt
├── StaleTask                the stored version is not the one read: somebody else wrote first
├── IllegalTransition        a bug of ours: no such row in lifecycle.TRANSITIONS
├── StoreUnavailable         the database can't be reached or written just now
├── KafkaUnavailable         the brokers of an instance can't be reached just now
├── OutcomeUnknown           a change may have been made or not: look before doing it again
├── StepNotReady             a step asks to be called again later
├── StepRejected             a step can never succeed
└── StepAbandoned            the engine has given a call of a step up: it must touch nothing more
"""


class BackroomError(Exception):
    """Root of the tree. Anything outside it is a bug."""


class Refused(BackroomError):
    pass


class InvalidInput(Refused):
    def __init__(self, parameter: str, why: str = "") -> None:
        super().__init__(f"{parameter}: {why}" if why else parameter)
        self.parameter = parameter
        self.why = why


class InvalidProjectId(InvalidInput):
    pass


class InvalidInstanceId(InvalidInput):
    pass


class InvalidTaskId(InvalidInput):
    pass


class InvalidJson(InvalidInput):
    pass


class EmptyBody(InvalidInput):
    pass


class InvalidName(InvalidInput):
    pass


class InvalidPublicAccess(InvalidInput):
    pass


class ProductNotFound(InvalidInput):
    pass


class InvalidStorage(InvalidInput):
    pass


class InvalidPassword(InvalidInput):
    pass


class UnsupportedEngine(InvalidInput):
    pass


class UnsupportedVersion(InvalidInput):
    pass


class InvalidDescription(InvalidInput):
    pass


class InvalidAccessUser(InvalidInput):
    pass


class InvalidMaintenanceWindow(InvalidInput):
    pass


class InvalidOffset(InvalidInput):
    """A page that begins at or behind the end of a list that is not empty."""


class InvalidTopicName(InvalidInput):
    pass


class InvalidPartitionCount(InvalidInput):
    pass


class InvalidReplicaCount(InvalidInput):
    pass


class InvalidRetentionTime(InvalidInput):
    pass


class InvalidConfig(InvalidInput):
    pass


class TooManyReplicas(InvalidInput):
    """More replicas than there are brokers to hold them."""


class InvalidAction(InvalidInput):
    pass


class InstancesMissing(InvalidInput):
    pass


class InstanceRepeated(InvalidInput):
    pass


class TooManyInstances(InvalidInput):
    pass


class Unauthenticated(Refused):
    """`detail` is shown to the client; it never holds a secret."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class ProjectMismatch(Refused):
    pass


class Forbidden(Refused):
    pass


class ReadOnlyRole(Forbidden):
    pass


class AdminOnly(Forbidden):
    pass


class NotFound(Refused):
    pass


class TaskNotFound(NotFound):
    def __init__(self, task_id: str) -> None:
        super().__init__(task_id)
        self.task_id = task_id


class InstanceNotFound(NotFound):
    def __init__(self, instance_id: str) -> None:
        super().__init__(instance_id)
        self.instance_id = instance_id


class RouteNotFound(NotFound):
    pass


class TopicNotFound(NotFound):
    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self.topic = topic


class MethodNotAllowed(Refused):
    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__(", ".join(allowed))
        self.allowed = allowed


class BodyTooLarge(Refused):
    def __init__(self, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self.limit_bytes = limit_bytes


class HeadersTooLarge(Refused):
    def __init__(self, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self.limit_bytes = limit_bytes


class TooManyRequests(Refused):
    def __init__(self, retry_after_s: int) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


class TooManyStreams(Refused):
    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class Conflict(Refused):
    pass


class TaskInFlight(Conflict):
    def __init__(self, task_id: str) -> None:
        super().__init__(task_id)
        self.task_id = task_id


class InstanceNotReady(Conflict):
    def __init__(self, instance_id: str, status: str) -> None:
        super().__init__(f"{instance_id} is {status}")
        self.instance_id = instance_id
        self.status = status


class NameTaken(Conflict):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class QuotaReached(Conflict):
    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"{what}: {limit}")
        self.what = what
        self.limit = limit


class ProgressNotAvailable(Conflict):
    def __init__(self, task_id: str, name: str) -> None:
        super().__init__(f"{task_id} ({name})")
        self.task_id = task_id
        self.name = name


class ExpansionLimitReached(Conflict):
    def __init__(self, instance_id: str, limit: int) -> None:
        super().__init__(f"{instance_id}: {limit}")
        self.instance_id = instance_id
        self.limit = limit


class ScheduleClosed(Conflict):
    def __init__(self, task_id: str, state: str) -> None:
        super().__init__(f"{task_id} is {state}")
        self.task_id = task_id
        self.state = state


class TaskEnded(Conflict):
    """What was asked of a task makes sense only before its end."""

    def __init__(self, task_id: str, state: str) -> None:
        super().__init__(f"{task_id} is {state}")
        self.task_id = task_id
        self.state = state


class TaskNotRetryable(Conflict):
    """Only a task that failed or was cancelled can be retried."""

    def __init__(self, task_id: str, why: str) -> None:
        super().__init__(f"{task_id}: {why}")
        self.task_id = task_id
        self.why = why


class ClientTokenReused(Conflict):
    """The same X-Client-Token came with another request before."""


class TopicExists(Conflict):
    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self.topic = topic


class PartitionsMoving(Conflict):
    """What was asked for must wait until a reassignment is over, or has been started."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class PartitionsExhausted(Conflict):
    """The instance has no room for as many partitions."""

    def __init__(self, remaining: int) -> None:
        super().__init__(f"{remaining} remain")
        self.remaining = remaining


class InsufficientDisk(Conflict):
    """A broker has no room for what is to move there."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class ClientTokenTaken(BackroomError):
    pass


class StaleTask(BackroomError):
    def __init__(self, task_id: str, version: int) -> None:
        super().__init__(f"{task_id} is no longer at version {version}")
        self.task_id = task_id
        self.version = version


class IllegalTransition(BackroomError):
    pass


class StoreUnavailable(BackroomError):
    pass


class KafkaUnavailable(BackroomError):
    pass


class OutcomeUnknown(BackroomError):
    """No answer, or none to be read: the change may have been made. Verify, don't assume."""


class StepNotReady(BackroomError):
    """Raised by a step that waits for the world. The attempt is given back; progress may be told.

    `delay_s` > 0 is when to call the step again; `percent` is how far this step is, 0 to 100.
    """

    def __init__(self, delay_s: float, percent: int = 0) -> None:
        super().__init__(f"again in {delay_s} s")
        self.delay_s = delay_s
        self.percent = percent


class StepRejected(BackroomError):
    """Raised by a step that can never succeed: the task fails at once with this code and reason."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class StepAbandoned(BackroomError):
    """Raised in a step that the engine has given up: what it still does counts for nothing."""

    def __init__(self) -> None:
        super().__init__("the engine has given this call of the step up")
