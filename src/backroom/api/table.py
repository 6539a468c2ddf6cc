"""Which handler answers which call: the table that routes, documents and tests are made from."""

from typing import Any

from backroom.api.configs import ConfigHandlers
from backroom.api.health import HealthBody, HealthHandlers
from backroom.api.iam import IamHandlers
from backroom.api.instances import InstanceHandlers
from backroom.api.native import NativeEventHandlers, NativeTaskHandlers
from backroom.api.openapi import OpenApiHandler
from backroom.api.reassignment import ReassignmentHandlers
from backroom.api.routes import Around, Route, RouteTable, as_it_is
from backroom.api.submissions import SubmissionHandlers
from backroom.api.tasks import TaskHandlers
from backroom.api.topics import TopicHandlers
from backroom.operations.cancel_tasks import CANCEL_TASKS
from backroom.operations.create_instance import CREATE_INSTANCE
from backroom.operations.delete_instance import DELETE_INSTANCE
from backroom.operations.delete_tasks import DELETE_TASKS
from backroom.operations.extend_instance import EXTEND_INSTANCE
from backroom.operations.modify_configs import MODIFY_CONFIGS
from backroom.operations.public_ip import BIND_PUBLIC_IP, UNBIND_PUBLIC_IP
from backroom.operations.reassign_partitions import REASSIGN_PARTITIONS
from backroom.operations.restart_instance import RESTART_INSTANCE
from backroom.operations.retry_tasks import RETRY_TASKS
from backroom.wire import (
    available_zones,
    extensions,
    iam,
    instance_actions,
    instance_requests,
    instances,
    public_access,
)
from backroom.wire import configs as configs_wire
from backroom.wire import native as native_wire
from backroom.wire import reassignment as reassignment_wire
from backroom.wire import tasks as wire
from backroom.wire import topics as topics_wire

PROJECT = "/v2/{project_id}"
INSTANCE = PROJECT + "/instances/{instance_id}"
TASKS = INSTANCE + "/tasks"
TOPICS = INSTANCE + "/topics"
SCHEDULED = INSTANCE + "/scheduled-tasks"
NATIVE = "/backroom/v1/{project_id}"
NATIVE_TASK = NATIVE + "/tasks/{task_id}"
EVENTS_QUERY = ("after", "limit")
LIST_QUERY = ("start", "offset", "limit", "begin_time", "end_time")


def route_table(  # noqa: PLR0913  one of each kind of handlers
    tasks: TaskHandlers,
    submissions: SubmissionHandlers,
    kafka: InstanceHandlers,
    accounts: IamHandlers,
    topics: TopicHandlers,
    configs: ConfigHandlers,
    reassignment: ReassignmentHandlers,
    health: HealthHandlers,
    native: NativeTaskHandlers,
    events: NativeEventHandlers,
    *,
    around: Around = as_it_is,
    more: tuple[Route, ...] = (),
) -> RouteTable:
    open_api = OpenApiHandler(lambda: table.routes)
    table = RouteTable(
        (
            Route(
                "GET", TASKS, "ListBackgroundTasks", tasks.list_background_tasks,
                query=LIST_QUERY, answer=wire.TaskListBody,
            ),
            Route(
                "GET", TASKS + "/{task_id}", "ShowBackgroundTask", tasks.show_background_task,
                answer=wire.TaskListBody, others=((304, None),),
            ),
            Route(
                "DELETE", TASKS + "/{task_id}", "DeleteBackgroundTask",
                tasks.delete_background_task, status=204,
            ),
            Route(
                "GET", TASKS + "/{task_id}/progress", "ShowBackgroundTaskProgress",
                tasks.show_background_task_progress, answer=wire.ProgressBody,
            ),
            Route(
                "GET", SCHEDULED, "ListScheduledTasks", tasks.list_scheduled_tasks,
                query=LIST_QUERY, answer=wire.ScheduledTaskListBody,
            ),
            Route(
                "PUT", SCHEDULED + "/{task_id}", "UpdateScheduledTask",
                tasks.update_scheduled_task, query=("execute_at", "status"), status=204,
            ),
            Route(
                "DELETE", SCHEDULED + "/{task_id}", "DeleteScheduledTask",
                tasks.delete_scheduled_task, status=204,
            ),
            Route(
                "POST", "/v1/{project_id}/instances/{instance_id}/public-boundwidth",
                "ModifyKafkaPublicIpAccessSwitch",
                submissions.modify_kafka_public_ip_access_switch,
                body=public_access.PublicAccessBody, status=204,
                submits=(BIND_PUBLIC_IP, UNBIND_PUBLIC_IP),
            ),
            Route(
                "GET", INSTANCE, "ShowInstance", kafka.show_instance,
                answer=instances.InstanceBody,
            ),
            Route(
                "GET", PROJECT + "/instances", "ListInstances", kafka.list_instances,
                needs_own_project=True, answer=instances.InstanceListBody,
                query=(
                    "engine", "name", "instance_id", "status", "include_failure",
                    "exact_match_name", "enterprise_project_id", "offset", "limit",
                ),
            ),
            Route(
                "GET", PROJECT + "/kafka/{instance_id}/tags", "ShowKafkaTags",
                kafka.show_kafka_tags, answer=instances.TagsBody,
            ),
            Route(
                "GET", INSTANCE + "/manage/cluster", "ShowKafkaCluster",
                kafka.show_kafka_cluster, answer=instances.ClusterBody,
            ),
            Route(
                "GET", "/v2/available-zones", "ListAvailableZones", kafka.list_available_zones,
                answer=available_zones.AvailableZonesBody,
            ),
            Route(
                "POST", PROJECT + "/kafka/instances", "CreatePostPaidKafkaInstance",
                submissions.create_post_paid_kafka_instance, needs_own_project=True,
                body=instance_requests.CreateBody, answer=instance_requests.CreatedBody,
                submits=(CREATE_INSTANCE,),
            ),
            Route(
                "DELETE", INSTANCE, "DeleteInstance", submissions.delete_instance, status=204,
                submits=(DELETE_INSTANCE,),
            ),
            Route(
                "POST", PROJECT + "/instances/action", "BatchRestartOrDeleteInstances",
                submissions.batch_restart_or_delete_instances, needs_own_project=True,
                body=instance_actions.ActionBody, answer=instance_actions.ActionResultsBody,
                others=((204, None),), submits=(RESTART_INSTANCE, DELETE_INSTANCE),
            ),
            Route(
                "POST", PROJECT + "/kafka/instances/{instance_id}/extend", "ResizeKafkaInstance",
                submissions.resize_kafka_instance, body=extensions.ExtendBody,
                answer=extensions.ExtendedBody, submits=(EXTEND_INSTANCE,),
            ),
            Route(
                "POST", "/v2/{engine}/{project_id}/instances/{instance_id}/extend",
                "ResizeEngineInstance", submissions.resize_kafka_instance,
                body=extensions.ExtendBody, answer=extensions.ExtendedBody,
                submits=(EXTEND_INSTANCE,),
            ),
            Route(
                "POST", INSTANCE + "/extend", "ResizeInstance", submissions.resize_kafka_instance,
                body=extensions.ExtendBody, answer=extensions.ExtendedBody,
                submits=(EXTEND_INSTANCE,),
            ),
            Route(
                "POST", TOPICS, "CreateInstanceTopic", topics.create_instance_topic,
                body=topics_wire.CreateTopicBody, answer=topics_wire.CreatedTopicBody,
            ),
            Route(
                "GET", TOPICS, "ListInstanceTopics", topics.list_instance_topics,
                query=("offset", "limit"), answer=topics_wire.TopicListBody,
            ),
            Route(
                "PUT", TOPICS, "UpdateInstanceTopic", topics.update_instance_topic,
                body=topics_wire.UpdateTopicsBody, status=204,
                others=((206, topics_wire.FailedTopicsBody),),
            ),
            Route(
                "POST", TOPICS + "/delete", "BatchDeleteInstanceTopic",
                topics.batch_delete_instance_topic,
                body=topics_wire.DeleteTopicsBody, answer=topics_wire.DeletedTopicsBody,
            ),
            Route(
                "GET", INSTANCE + "/management/topics/{topic}", "ShowInstanceTopicDetail",
                topics.show_instance_topic_detail, answer=topics_wire.TopicDetailBody,
            ),
            Route(
                "POST", INSTANCE + "/management/topics/{topic}/partitions-reassignment",
                "CreatePartition", topics.create_partition,
                body=topics_wire.CreatePartitionBody, status=204,
            ),
            Route(
                "GET", INSTANCE + "/configs", "ShowInstanceConfigs",
                configs.show_instance_configs, answer=configs_wire.ConfigsBody,
            ),
            Route(
                "PUT", INSTANCE + "/configs", "ModifyInstanceConfigs",
                configs.modify_instance_configs, body=configs_wire.ModifyConfigsBody,
                answer=configs_wire.ConfigsModifiedBody, submits=(MODIFY_CONFIGS,),
            ),
            Route(
                "POST", INSTANCE + "/autotopic", "UpdateInstanceAutoCreateTopic",
                configs.update_instance_auto_create_topic, body=configs_wire.AutoTopicBody,
                answer=configs_wire.AutoTopicBody, submits=(MODIFY_CONFIGS,),
            ),
            Route(
                "POST", PROJECT + "/kafka/instances/{instance_id}/reassign",
                "CreateKafkaReassignmentTask", reassignment.create_kafka_reassignment_task,
                body=reassignment_wire.ReassignBody, answer=reassignment_wire.ReassignedBody,
                submits=(REASSIGN_PARTITIONS,),
            ),
            Route(
                "POST", "/v2/kafka/{project_id}/instances/{instance_id}/reassign",
                "CreateReassignmentTask", reassignment.create_kafka_reassignment_task,
                body=reassignment_wire.ReassignBody, answer=reassignment_wire.ReassignedBody,
                submits=(REASSIGN_PARTITIONS,),
            ),
            Route(
                "POST", "/v3/auth/tokens", "KeystoneCreateUserTokenByPassword",
                accounts.keystone_create_user_token_by_password, identity="none",
                body=iam.AuthBody, answer=iam.TokenAnswer, status=201,
            ),
            Route(
                "GET", "/v3/projects", "KeystoneListProjects", accounts.keystone_list_projects,
                query=("name", "parent_id", "domain_id", "page", "per_page"),
                answer=iam.ProjectsAnswer,
            ),
            Route(
                "GET", "/v3/auth/projects", "KeystoneListAuthProjects",
                accounts.keystone_list_projects, answer=iam.ProjectsAnswer,
            ),
            Route(
                "GET", "/v3/auth/domains", "KeystoneListAuthDomains",
                accounts.keystone_list_auth_domains, answer=iam.DomainsAnswer,
            ),
            Route(
                "GET", "/v3/regions", "KeystoneListRegions", accounts.keystone_list_regions,
                answer=iam.RegionsAnswer,
            ),
            Route(
                "POST", "/v3.0/OS-CREDENTIAL/securitytokens", "CreateTemporaryAccessKeyByToken",
                accounts.create_temporary_access_key_by_token, identity="optional",
                body=iam.AuthBody, answer=iam.CredentialAnswer, status=201,
            ),
            Route(
                "GET", NATIVE + "/tasks", "SearchTasks", native.search_tasks,
                needs_own_project=True, query=native_wire.SEARCH_QUERY,
                answer=native_wire.SearchBody,
            ),
            Route(
                "GET", NATIVE_TASK, "ShowTask", native.show_task,
                answer=native_wire.FullTaskBody, others=((304, None),),
            ),
            Route(
                "POST", NATIVE_TASK + "/cancel", "CancelTask", native.cancel_task,
                body=native_wire.CancelBody, body_is_optional=True,
                answer=native_wire.CancelledBody, status=202,
            ),
            Route(
                "POST", NATIVE_TASK + "/retry", "RetryTask", native.retry_task,
                body=native_wire.RetryBody, body_is_optional=True,
                answer=native_wire.SubmittedBody, status=202, retries=True,
            ),
            Route(
                "POST", NATIVE + "/tasks/bulk-cancel", "BulkCancelTasks",
                native.bulk_cancel_tasks, needs_own_project=True,
                body=native_wire.BulkCancelBody, answer=native_wire.SubmittedBody, status=202,
                submits=(CANCEL_TASKS,),
            ),
            Route(
                "POST", NATIVE + "/tasks/bulk-retry", "BulkRetryTasks", native.bulk_retry_tasks,
                needs_own_project=True, body=native_wire.BulkRetryBody,
                answer=native_wire.SubmittedBody, status=202, submits=(RETRY_TASKS,),
            ),
            Route(
                "POST", NATIVE + "/tasks/bulk-delete", "BulkDeleteTasks",
                native.bulk_delete_tasks, needs_own_project=True,
                body=native_wire.BulkDeleteBody, answer=native_wire.SubmittedBody, status=202,
                submits=(DELETE_TASKS,),
            ),
            Route(
                "GET", NATIVE + "/events", "ListProjectEvents", events.list_project_events,
                needs_own_project=True, query=EVENTS_QUERY, answer=native_wire.EventsBody,
                streams=True,
            ),
            Route(
                "GET", NATIVE + "/instances/{instance_id}/events", "ListInstanceEvents",
                events.list_instance_events, query=EVENTS_QUERY, answer=native_wire.EventsBody,
                streams=True,
            ),
            Route(
                "GET", NATIVE_TASK + "/events", "ListTaskEvents", events.list_task_events,
                query=EVENTS_QUERY, answer=native_wire.EventsBody, others=((204, None),),
                streams=True,
            ),
            Route(
                "GET", "/healthz", "ShowHealth", health.show_health, identity="none",
                answer=HealthBody,
            ),
            Route(
                "GET", "/readyz", "ShowReadiness", health.show_readiness, identity="none",
                answer=HealthBody, others=((503, HealthBody),),
            ),
            Route(
                "GET", "/metrics", "ShowMetrics", health.show_metrics, identity="none",
                answer=str,
            ),
            Route(
                "GET", "/backroom/v1/openapi.json", "ShowOpenApi", open_api.show_open_api,
                identity="none", answer=dict[str, Any],
            ),
        ),
        around,
        more,
    )  # fmt: skip
    return table
