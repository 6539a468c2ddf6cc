"""Print the newest background tasks of the instance, page by page.

Needs the environment of `backroom env`. `start` counts from 1; `task_count` is the text of a total.
"""

import os
import sys

from huaweicloudsdkkafka.v2 import ListBackgroundTasksRequest
from show_background_task import kafka_client

PAGE = 10


def main() -> int:
    client = kafka_client()
    start = 1
    while True:
        listed = client.list_background_tasks(
            ListBackgroundTasksRequest(
                instance_id=os.environ["BACKROOM_INSTANCE_ID"], start=start, limit=PAGE
            )
        )
        for task in listed.tasks:
            print(task.id, task.status, task.name, task.created_at)
        start += len(listed.tasks)
        if not listed.tasks or start > int(listed.task_count):
            return 0


if __name__ == "__main__":
    sys.exit(main())
