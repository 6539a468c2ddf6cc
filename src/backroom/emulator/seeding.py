"""Makes of a seed what would be stored if it all had happened: instances, topics, tasks."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from backroom.domain import lifecycle
from backroom.domain.account import AccessKey, Project, Role, User
from backroom.domain.errors import InvalidInput
from backroom.domain.ids import (
    InstanceId,
    ProjectId,
    TaskId,
    WorkerId,
    new_instance_id,
    new_project_id,
    new_task_id,
    new_user_id,
)
from backroom.domain.instance import Broker, Instance, InstanceStatus
from backroom.domain.lifecycle import Fault
from backroom.domain.seed import Seed, SeedInstance, SeedKey, SeedTask
from backroom.domain.task import Change, Kind, State, StepRecord, StepState, Task
from backroom.operations.catalogue import CATALOGUE
from backroom.operations.operation import Operation
from backroom.ports import (
    AccountStore,
    Clock,
    ClusterSpec,
    InstanceStore,
    KafkaAdmin,
    NewTopic,
    Platform,
    Vault,
    WholeStore,
)

WORKER = WorkerId("seed")
NO_PARAMS = b"{}"


class _Owner(NamedTuple):
    project_id: ProjectId
    user: User


class Seeding:
    """`platform` and `kafka` are those of a world in which nothing takes time."""

    def __init__(  # noqa: PLR0913  all that can be filled
        self,
        accounts: AccountStore,
        instances: InstanceStore,
        whole: WholeStore,
        platform: Platform,
        kafka: KafkaAdmin,
        vault: Vault,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._instances = instances
        self._whole = whole
        self._platform = platform
        self._kafka = kafka
        self._vault = vault
        self._clock = clock

    async def fill(self, seed: Seed) -> None:
        """Raises NameTaken, InvalidInput for what no look at the seed alone could find."""
        first = await self._first_owner()
        await self._fill_project(first, "", seed.keys, seed.instances)
        for number, wanted in enumerate(seed.projects):
            known = [one for one in await self._accounts.projects() if one.name == wanted.name]
            if known and wanted.id in {None, known[0].id}:
                project = known[0]
            else:
                project = Project(id=ProjectId(wanted.id or new_project_id()), name=wanted.name)
                await self._accounts.add_project(project)
            owner = _Owner(project.id, first.user)
            if project.id != first.project_id:
                owner = _Owner(project.id, _user(f"seed-{project.id}", project.id))
                await self._accounts.add_user(owner.user)
            await self._fill_project(owner, f"projects[{number}].", wanted.keys, wanted.instances)

    async def _first_owner(self) -> _Owner:
        keys = await self._accounts.access_keys()
        if not keys:  # all were revoked
            project = (await self._accounts.projects())[0]
            user = _user(f"seed-{project.id}", project.id)
            await self._accounts.add_user(user)
            return _Owner(project.id, user)
        key = min(keys, key=lambda key: (not key.is_generated, key.created_at))
        return _Owner(
            key.project_id,
            User(id=key.user_id, name=key.user_name, project_id=key.project_id, role=key.role),
        )

    async def _fill_project(
        self, owner: _Owner, where: str, keys: list[SeedKey], instances: list[SeedInstance]
    ) -> None:
        for key in keys:
            await self._add_key(owner.project_id, key)
        past: list[list[Change]] = []
        for number, wanted in enumerate(instances):
            instance = await self._add_instance(owner, f"{where}instances[{number}]", wanted)
            past.extend(self._past(owner, instance, wanted.tasks))
        await self._whole.add_past(past)

    async def _add_key(self, project_id: ProjectId, wanted: SeedKey) -> None:
        user = msgspec.structs.replace(
            _user(f"key-{wanted.access_key}", project_id), role=wanted.role
        )
        await self._accounts.add_user(user)
        await self._accounts.add_access_key(
            AccessKey(
                access_key=wanted.access_key,
                secret_key=wanted.secret_key,
                project_id=project_id,
                user_id=user.id,
                user_name=user.name,
                role=wanted.role,
                created_at=self._clock.now(),
            )
        )

    async def _add_instance(self, owner: _Owner, where: str, wanted: SeedInstance) -> Instance:
        instance_id = InstanceId(wanted.id or new_instance_id())
        spec = ClusterSpec(
            broker_count=wanted.broker_count,
            storage_gb=wanted.storage_gb,
            kafka_version=str(wanted.engine_version),
            flavor=wanted.product_id,
        )
        await self._platform.create_cluster(instance_id, spec)
        cluster = await self._platform.observe(instance_id)
        brokers = () if cluster is None else cluster.brokers
        instance = _instance(owner, instance_id, wanted, brokers, self._clock.now())
        await self._instances.save(instance)
        await self._add_topics(instance_id, where, wanted)
        return instance

    async def _add_topics(self, instance_id: InstanceId, where: str, wanted: SeedInstance) -> None:
        if not wanted.topics:
            return
        topics = [
            NewTopic(
                name=topic.name,
                partition_count=topic.partitions,
                replication_factor=topic.replicas,
            )
            for topic in wanted.topics
        ]
        made = await self._kafka.create_topics(instance_id, topics)
        for number, topic in enumerate(wanted.topics):
            error = made[topic.name]
            if error is not None:
                raise InvalidInput(f"{where}.topics[{number}]", error.message)

    def _past(
        self, owner: _Owner, instance: Instance, tasks: list[SeedTask]
    ) -> Iterator[list[Change]]:
        now = self._clock.now()
        for wanted in sorted(tasks, key=lambda task: -task.ago_s):
            yield list(self._history(owner, instance, wanted, now))

    def _history(
        self, owner: _Owner, instance: Instance, wanted: SeedTask, now: datetime
    ) -> Iterator[Change]:
        """Each change that such a task goes through."""
        asked_at = now - timedelta(seconds=wanted.ago_s)
        ended_at = asked_at + timedelta(seconds=wanted.duration_s)
        operation = CATALOGUE[wanted.operation]
        change = lifecycle.submit(self._task(owner, instance, operation, wanted, asked_at))
        yield change
        if wanted.state == "cancelled":
            yield lifecycle.cancel(change.task, ended_at, owner.user.name, wanted.reason)
            return
        change = lifecycle.claim(change.task, WORKER, asked_at)
        yield change
        names = [step.name for step in operation.steps]
        last = names.index(wanted.failed_step) if wanted.failed_step else len(names) - 1
        for number, name in enumerate(names[:last]):
            change = lifecycle.record(
                change.task, ended_at, (_step(number, name, asked_at, ended_at),)
            )
            yield change
        step = _step(last, names[last], asked_at, ended_at)
        if wanted.state == "succeeded":
            yield lifecycle.complete(change.task, ended_at, (step,))
        else:
            fault = Fault(code=wanted.error_code, message=wanted.error_msg, step=step.name)
            yield lifecycle.fail(change.task, ended_at, fault, step)

    def _task(
        self,
        owner: _Owner,
        instance: Instance,
        operation: Operation[msgspec.Struct],
        wanted: SeedTask,
        at: datetime,
    ) -> Task:
        seal = self._vault.seal if operation.has_secrets else bytes
        return Task(
            id=TaskId(wanted.id or new_task_id()),
            project_id=instance.project_id,
            instance_id=instance.id,
            kind=Kind.BACKGROUND,
            name=operation.name,
            user_id=owner.user.id,
            user_name=owner.user.name,
            params=msgspec.json.encode(wanted.params).decode(),
            internal=seal(NO_PARAMS),
            state=State.WAITING,
            created_at=at,
            updated_at=at,
            lane=instance.id,
            reason=wanted.reason,
        )


def _user(name: str, project_id: ProjectId) -> User:
    return User(id=new_user_id(), name=name, project_id=project_id, role=Role.ADMIN)


def _step(number: int, name: str, began_at: datetime, ended_at: datetime) -> StepRecord:
    return StepRecord(
        name=name,
        position=number,
        state=StepState.SUCCEEDED,
        percent=100,
        started_at=began_at,
        ended_at=ended_at,
        output=b"null",
    )


def _instance(
    owner: _Owner,
    instance_id: InstanceId,
    wanted: SeedInstance,
    brokers: tuple[Broker, ...],
    at: datetime,
) -> Instance:
    return Instance(
        id=instance_id,
        project_id=owner.project_id,
        name=wanted.name,
        description=wanted.description,
        status=InstanceStatus.RUNNING,
        user_id=owner.user.id,
        user_name=owner.user.name,
        created_at=at,
        engine_version=str(wanted.engine_version),
        broker_count=wanted.broker_count,
        storage_gb=wanted.storage_gb,
        product_id=wanted.product_id,
        storage_spec_code="dms.physical.storage.high.v2",
        vpc_id="backroom-vpc",
        subnet_id="backroom-subnet",
        security_group_id="backroom-security-group",
        available_zones=("backroom-az1",),
        brokers=brokers,
    )
