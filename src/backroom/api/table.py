"""Which handler answers which call: the table that routes, documents and tests are made from."""

from backroom.api.iam import IamHandlers
from backroom.api.instances import InstanceHandlers
from backroom.api.routes import Route, RouteTable
from backroom.api.submissions import SubmissionHandlers
from backroom.api.tasks import TaskHandlers
from backroom.wire import iam, instances, public_access
from backroom.wire import tasks as wire

PROJECT = "/v2/{project_id}"
INSTANCE = PROJECT + "/instances/{instance_id}"
TASKS = INSTANCE + "/tasks"
SCHEDULED = INSTANCE + "/scheduled-tasks"
LIST_QUERY = ("start", "offset", "limit", "begin_time", "end_time")


def route_table(
    tasks: TaskHandlers,
    submissions: SubmissionHandlers,
    kafka: InstanceHandlers,
    accounts: IamHandlers,
) -> RouteTable:
    return RouteTable(
        (
            Route(
                "GET", TASKS, "ListBackgroundTasks", tasks.list_background_tasks,
                query=LIST_QUERY, answer=wire.TaskListBody,
            ),
            Route(
                "GET", TASKS + "/{task_id}", "ShowBackgroundTask", tasks.show_background_task,
                answer=wire.TaskListBody,
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
                "POST", PROJECT + "/kafka/instances", "CreatePostPaidKafkaInstance",
                submissions.create_post_paid_kafka_instance, needs_own_project=True,
                body=instances.CreateBody,
            ),
            Route(
                "DELETE", INSTANCE, "DeleteInstance", submissions.delete_instance, status=204,
            ),
            Route(
                "POST", "/v3/auth/tokens", "KeystoneCreateUserTokenByPassword",
                accounts.keystone_create_user_token_by_password, identity="none",
                body=iam.AuthBody, status=201,
            ),
            Route(
                "GET", "/v3/projects", "KeystoneListProjects", accounts.keystone_list_projects,
                query=("name", "domain_id", "enabled"),
            ),
            Route(
                "GET", "/v3/auth/projects", "KeystoneListAuthProjects",
                accounts.keystone_list_projects,
            ),
            Route(
                "GET", "/v3/auth/domains", "KeystoneListAuthDomains",
                accounts.keystone_list_auth_domains,
            ),
            Route(
                "GET", "/v3/regions", "KeystoneListRegions", accounts.keystone_list_regions,
            ),
            Route(
                "POST", "/v3.0/OS-CREDENTIAL/securitytokens", "CreateTemporaryAccessKeyByToken",
                accounts.create_temporary_access_key_by_token, identity="optional",
                body=iam.AuthBody, status=201,
            ),
        )
    )  # fmt: skip
