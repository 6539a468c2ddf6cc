"""The official Python SDK: topics, parameters and a reassignment against a real server."""

from itertools import count

import pytest
from huaweicloudsdkkafka import v2
from tests.integration.test_official_sdk import (  # noqa: F401  fixtures are found by their names
    client,
    env,
    instance_id,
    pytestmark,
    refused,
)
from tests.support.waiting import wait_until

NUMBERS = count(1)  # two equal signed writes in one second are one too many


def done(client, instance_id, job_id):  # noqa: F811
    request = v2.ShowBackgroundTaskRequest(instance_id=instance_id, task_id=job_id)
    seen = []

    def is_over():
        seen.append(client.show_background_task(request).tasks[0].status)
        return seen[-1] in {"SUCCESS", "FAILED"}

    wait_until(is_over)
    return seen


@pytest.fixture
def topic(client, instance_id):  # noqa: F811
    name = f"sdk-topic-{next(NUMBERS)}"
    body = v2.CreateInstanceTopicReq(id=name, partition=1, replication=1, topic_desc="mine")
    request = v2.CreateInstanceTopicRequest(instance_id=instance_id, body=body)
    assert client.create_instance_topic(request).name == name
    yield name
    body = v2.BatchDeleteInstanceTopicReq(topics=[name])
    request = v2.BatchDeleteInstanceTopicRequest(instance_id=instance_id, body=body)
    (deleted,) = client.batch_delete_instance_topic(request).topics
    assert (deleted.id, deleted.success) == (name, True)


def test_topic_is_made_listed_changed_and_shown(client, instance_id, topic):  # noqa: F811
    listed = client.list_instance_topics(v2.ListInstanceTopicsRequest(instance_id=instance_id))
    (shown,) = listed.topics
    assert (shown.name, shown.partition, shown.retention_time) == (topic, 1, 72)
    assert shown.topic_desc == "mine"
    assert shown.created_at > 0
    change = v2.UpdateInstanceTopicReqTopics(id=topic, new_partition_numbers=2, retention_time=5)
    body = v2.UpdateInstanceTopicReq(topics=[change])
    request = v2.UpdateInstanceTopicRequest(instance_id=instance_id, body=body)
    assert client.update_instance_topic(request).status_code == 204
    detail = client.show_instance_topic_detail(
        v2.ShowInstanceTopicDetailRequest(instance_id=instance_id, topic=topic)
    )
    assert [partition.partition for partition in detail.partitions] == [0, 1]
    missing = v2.ShowInstanceTopicDetailRequest(instance_id=instance_id, topic="ghost")
    assert refused(client.show_instance_topic_detail, missing) == (400, "DMS.00400876")


def test_reassignment_from_the_call_to_its_end(client, instance_id, topic):  # noqa: F811
    detail = v2.ShowInstanceTopicDetailRequest(instance_id=instance_id, topic=topic)
    (partition,) = client.show_instance_topic_detail(detail).partitions
    target = [(partition.leader + 1) % 3, partition.leader]
    assignment = v2.TopicAssignment(partition=0, partition_brokers=target)
    entity = v2.PartitionReassignEntity(topic=topic, assignment=[assignment])

    def ask(**more):
        body = v2.PartitionReassignRequest(reassignments=[entity], **more)
        request = v2.CreateKafkaReassignmentTaskRequest(instance_id=instance_id, body=body)
        return client.create_kafka_reassignment_task(request)

    assert ask(time_estimate=True).reassignment_time >= 2
    seen = done(client, instance_id, ask(throttle=100).job_id)
    assert seen[-1] == "SUCCESS"
    assert set(seen[:-1]) <= {"EXECUTING"}
    (partition,) = client.show_instance_topic_detail(detail).partitions
    assert [replica.broker for replica in partition.replicas] == target


def test_parameters_are_shown_and_changed(client, instance_id):  # noqa: F811
    config = v2.ModifyInstanceConfig(name="max.connections.per.ip", value="1500")
    body = v2.ModifyInstanceConfigsReq(kafka_configs=[config])
    request = v2.ModifyInstanceConfigsRequest(instance_id=instance_id, body=body)
    answer = client.modify_instance_configs(request)
    assert (answer.dynamic_config, answer.static_config) == (1, 0)
    assert done(client, instance_id, answer.job_id)[-1] == "SUCCESS"
    shown = client.show_instance_configs(v2.ShowInstanceConfigsRequest(instance_id=instance_id))
    values = {one.name: one.value for one in shown.kafka_configs}
    assert values["max.connections.per.ip"] == "1500"


def test_automatic_creation_is_switched(client, instance_id):  # noqa: F811
    body = v2.UpdateInstanceAutoCreateTopicReq(enable_auto_topic=True)
    request = v2.UpdateInstanceAutoCreateTopicRequest(instance_id=instance_id, body=body)
    assert client.update_instance_auto_create_topic(request).enable_auto_topic is True
    show = v2.ShowInstanceRequest(instance_id=instance_id)
    wait_until(lambda: client.show_instance(show).enable_auto_topic)
