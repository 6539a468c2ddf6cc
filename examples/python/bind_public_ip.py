"""Ask for public access of an instance, find the task by its name, and wait for it.

The call answers 204 without an id, so the task is the newest one of its name. Prints its id.
Needs the environment of `backroom env`.
"""

import os
import sys
import time

from huaweicloudsdkkafka.v2 import (
    ListBackgroundTasksRequest,
    ModifyKafkaPublicIPAccessSwitchReq,
    ModifyKafkaPublicIpAccessSwitchRequest,
)
from show_background_task import kafka_client

NAME = "bindInstancePublicIp"
POLL_S = 0.2


def main() -> int:
    client = kafka_client()
    instance_id = os.environ["BACKROOM_INSTANCE_ID"]
    client.modify_kafka_public_ip_access_switch(
        ModifyKafkaPublicIpAccessSwitchRequest(
            instance_id=instance_id,
            body=ModifyKafkaPublicIPAccessSwitchReq(
                publicip_id="1aea7aed-e7d8-40ea-b3de-6f3ee9d5db9f", public_boundwidth=5
            ),
        )
    )
    while True:
        listed = client.list_background_tasks(ListBackgroundTasksRequest(instance_id=instance_id))
        task = next(task for task in listed.tasks if task.name == NAME)
        print(f"{task.id} {task.status}", file=sys.stderr, flush=True)
        if task.status in {"SUCCESS", "FAILED", "DELETED"}:
            break
        time.sleep(POLL_S)
    print(task.id)
    return 0 if task.status == "SUCCESS" else 1


if __name__ == "__main__":
    sys.exit(main())
