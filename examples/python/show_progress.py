"""Print how far an extension has come; other kinds of task have no progress.

Needs the environment of `backroom env` and the task's id as the only argument.
"""

import os
import sys

from huaweicloudsdkkafka.v2 import ShowBackgroundTaskProgressRequest
from show_background_task import kafka_client


def main(task_id: str) -> int:
    progress = kafka_client().show_background_task_progress(
        ShowBackgroundTaskProgressRequest(
            instance_id=os.environ["BACKROOM_INSTANCE_ID"], task_id=task_id
        )
    )
    print(f"{progress.progress_percentage} %, {progress.remain_time} s left")
    for step in progress.step_list:
        print(step.name, step.statue)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
