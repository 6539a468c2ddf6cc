"""Reads sessions from standard input as JSON, prints what the SDK made of each call, a line each.

What a session holds and what is printed: interop/programs.py.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import SdkException, ServiceResponseException
from huaweicloudsdkkafka import v2
from huaweicloudsdkkafka.v2.region.kafka_region import KafkaRegion

POLL_S = 0.1
DEADLINE_S = 60
ENDED = {"SUCCESS", "FAILED", "DELETED", "CANCELLED"}

Call = dict[str, Any]


def client_of(session: dict[str, Any]) -> v2.KafkaClient:
    credentials = BasicCredentials(session["ak"], session["sk"], session.get("project_id"))
    if session.get("security_token"):
        credentials.with_security_token(session["security_token"])
    builder = v2.KafkaClient.new_builder().with_credentials(credentials)
    if session.get("endpoint"):
        return builder.with_endpoint(session["endpoint"]).build()
    return builder.with_region(KafkaRegion.value_of(session["region"])).build()


def waited(client: v2.KafkaClient, instance_id: str, task_id: str) -> dict[str, Any]:
    request = v2.ShowBackgroundTaskRequest(instance_id=instance_id, task_id=task_id)
    statuses: list[str] = []
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        (task,) = client.show_background_task(request).tasks
        if statuses[-1:] != [task.status]:
            statuses.append(task.status)
        if task.status in ENDED:
            return {"task": task.to_dict(), "statuses": statuses}
        time.sleep(POLL_S)
    raise TimeoutError("the task did not end")


def show(client: v2.KafkaClient, instance_id: str, call: Call) -> dict[str, Any]:
    request = v2.ShowBackgroundTaskRequest(instance_id=instance_id, task_id=call["task_id"])
    return client.show_background_task(request).to_dict()


def list_(client: v2.KafkaClient, instance_id: str, call: Call) -> dict[str, Any]:
    names = ("start", "limit", "begin_time", "end_time")
    given = {name: call[name] for name in names if name in call}
    request = v2.ListBackgroundTasksRequest(instance_id=instance_id, **given)
    return client.list_background_tasks(request).to_dict()


def instances(client: v2.KafkaClient, _instance_id: str, call: Call) -> dict[str, Any]:
    request = v2.ListInstancesRequest(engine="kafka", name=call["name"], exact_match_name="true")
    return client.list_instances(request).to_dict()


def progress(client: v2.KafkaClient, instance_id: str, call: Call) -> dict[str, Any]:
    request = v2.ShowBackgroundTaskProgressRequest(instance_id=instance_id, task_id=call["task_id"])
    return client.show_background_task_progress(request).to_dict()


def delete(client: v2.KafkaClient, instance_id: str, call: Call) -> dict[str, Any]:
    request = v2.DeleteBackgroundTaskRequest(instance_id=instance_id, task_id=call["task_id"])
    return {"status": client.delete_background_task(request).status_code}


def bind(client: v2.KafkaClient, instance_id: str, call: Call) -> dict[str, Any]:
    body = v2.ModifyKafkaPublicIPAccessSwitchReq(
        publicip_id=call["publicip_id"], public_boundwidth=call["bandwidth"]
    )
    client.modify_kafka_public_ip_access_switch(
        v2.ModifyKafkaPublicIpAccessSwitchRequest(instance_id=instance_id, body=body)
    )
    listed = client.list_background_tasks(v2.ListBackgroundTasksRequest(instance_id=instance_id))
    task = next(task for task in listed.tasks if task.name == "bindInstancePublicIp")
    return waited(client, instance_id, task.id)


def create_topic(client: v2.KafkaClient, instance_id: str, call: Call) -> dict[str, Any]:
    body = v2.CreateInstanceTopicReq(
        id=call["topic"],
        partition=call["partitions"],
        replication=call["replicas"],
        topic_desc=call["description"],
    )
    request = v2.CreateInstanceTopicRequest(instance_id=instance_id, body=body)
    return client.create_instance_topic(request).to_dict()


def reassign(client: v2.KafkaClient, instance_id: str, call: Call) -> dict[str, Any]:
    moves = v2.PartitionReassignEntity(topic=call["topic"], brokers=call["brokers"])
    asked = client.create_kafka_reassignment_task(
        v2.CreateKafkaReassignmentTaskRequest(
            instance_id=instance_id, body=v2.PartitionReassignRequest(reassignments=[moves])
        )
    )
    return waited(client, instance_id, asked.job_id)


OPERATIONS: dict[str, Callable[[v2.KafkaClient, str, Call], dict[str, Any]]] = {
    "show": show,
    "list": list_,
    "instances": instances,
    "progress": progress,
    "delete": delete,
    "bind": bind,
    "create_topic": create_topic,
    "reassign": reassign,
}


def seen(error: Exception) -> dict[str, Any]:
    if not isinstance(error, ServiceResponseException):
        return {"type": type(error).__name__, "message": str(error)}
    return {
        "type": type(error).__name__,
        "status": error.status_code,
        "code": error.error_code,
        "message": error.error_msg,
        "request_id": error.request_id,
    }


def main() -> None:
    for session in json.load(sys.stdin):
        client = client_of(session)
        for call in session["calls"]:
            line: dict[str, Any] = {"label": call["label"]}
            try:
                line["answer"] = OPERATIONS[call["op"]](client, session["instance_id"], call)
            except (SdkException, TimeoutError) as error:
                line["error"] = seen(error)
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
