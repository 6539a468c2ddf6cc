"""Print one record of background task management, as the official SDK sees it.

Needs the environment of `backroom env` and the task's id as the only argument.
"""

import os
import sys

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ServiceResponseException
from huaweicloudsdkkafka.v2 import KafkaClient, ShowBackgroundTaskRequest
from huaweicloudsdkkafka.v2.region.kafka_region import KafkaRegion


def kafka_client() -> KafkaClient:
    credentials = BasicCredentials(
        os.environ["CLOUD_SDK_AK"], os.environ["CLOUD_SDK_SK"], os.environ["BACKROOM_PROJECT_ID"]
    )
    region = KafkaRegion.value_of(os.environ.get("BACKROOM_REGION", "cn-north-4"))
    return KafkaClient.new_builder().with_credentials(credentials).with_region(region).build()


def main(task_id: str) -> int:
    request = ShowBackgroundTaskRequest(
        instance_id=os.environ["BACKROOM_INSTANCE_ID"], task_id=task_id
    )
    try:
        print(kafka_client().show_background_task(request))
    except ServiceResponseException as error:
        print(f"{error.status_code} {error.error_code}: {error.error_msg}", file=sys.stderr)
        print(f"request id {error.request_id}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
