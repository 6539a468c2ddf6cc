"""Make a topic, move its replicas to other brokers, and wait for the task. Prints its id.

Needs the environment of `backroom env`. The id that the call returns is the task's id.
"""

import os
import sys
import time

from huaweicloudsdkkafka.v2 import (
    CreateInstanceTopicReq,
    CreateInstanceTopicRequest,
    CreateKafkaReassignmentTaskRequest,
    PartitionReassignEntity,
    PartitionReassignRequest,
    ShowBackgroundTaskRequest,
)
from show_background_task import kafka_client

POLL_S = 0.2


def main() -> int:
    client = kafka_client()
    instance_id = os.environ["BACKROOM_INSTANCE_ID"]
    topic = f"example-{time.time_ns()}"
    client.create_instance_topic(
        CreateInstanceTopicRequest(
            instance_id=instance_id,
            body=CreateInstanceTopicReq(id=topic, partition=3, replication=1),
        )
    )
    task_id = client.create_kafka_reassignment_task(
        CreateKafkaReassignmentTaskRequest(
            instance_id=instance_id,
            body=PartitionReassignRequest(
                reassignments=[PartitionReassignEntity(topic=topic, brokers=[2])]
            ),
        )
    ).job_id
    request = ShowBackgroundTaskRequest(instance_id=instance_id, task_id=task_id)
    while True:
        (task,) = client.show_background_task(request).tasks
        print(f"{task.id} {task.status}", file=sys.stderr, flush=True)
        if task.status in {"SUCCESS", "FAILED", "DELETED"}:
            break
        time.sleep(POLL_S)
    print(task.id)
    return 0 if task.status == "SUCCESS" else 1


if __name__ == "__main__":
    sys.exit(main())
