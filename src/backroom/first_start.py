"""What an empty store is filled with, so that somebody can call it at once."""

import secrets

from backroom.bootstrap import Backroom
from backroom.domain.account import AccessKey, Project, Role
from backroom.domain.ids import new_instance_id, new_project_id
from backroom.domain.instance import Instance, InstanceStatus
from backroom.ports import ClusterSpec
from backroom.settings import PASSWORD_FILE

USER_NAME = "backroom"
DEMO_INSTANCE = "kafka-demo"


async def prepare(backroom: Backroom) -> bool:
    """On an empty store: a project, a user, a key pair and, unless told not to, an instance.

    Returns whether this was the first start.
    """
    if await backroom.account_store.projects():
        return False
    settings = backroom.settings
    project = Project(id=new_project_id(), name=settings.region)
    await backroom.account_store.add_project(project)
    password = secrets.token_urlsafe(18)
    user = await backroom.accounts.add_user(USER_NAME, password, project.id, Role.ADMIN)
    key = AccessKey(
        access_key=secrets.token_hex(10).upper(),
        secret_key=secrets.token_urlsafe(30),
        project_id=project.id,
        user_id=user.id,
        user_name=user.name,
        role=Role.ADMIN,
        created_at=backroom.clock.now(),
        is_generated=True,
    )
    await backroom.account_store.add_access_key(key)
    sealed = backroom.around.vault.seal(password.encode())
    path = settings.data / PASSWORD_FILE
    path.touch(mode=0o600)
    path.write_bytes(sealed)
    if not settings.is_empty:
        await _add_demo_instance(backroom, key)
    return True


async def _add_demo_instance(backroom: Backroom, key: AccessKey) -> None:
    instance_id = new_instance_id()
    spec = ClusterSpec(
        broker_count=3, storage_gb=300, kafka_version="2.7", flavor="c6.2u4g.cluster"
    )
    cluster = await backroom.platform.adopt_cluster(instance_id, spec)
    await backroom.instances.save(
        Instance(
            id=instance_id,
            project_id=key.project_id,
            name=DEMO_INSTANCE,
            description="Made by the first start.",
            status=InstanceStatus.RUNNING,
            user_id=key.user_id,
            user_name=key.user_name,
            created_at=backroom.clock.now(),
            engine_version=spec.kafka_version,
            broker_count=spec.broker_count,
            storage_gb=spec.storage_gb,
            product_id=spec.flavor,
            storage_spec_code="dms.physical.storage.high.v2",
            vpc_id="backroom-vpc",
            subnet_id="backroom-subnet",
            security_group_id="backroom-security-group",
            available_zones=("backroom-az1",),
            brokers=cluster.brokers,
        )
    )
