"""Which handler answers which call: the table that routes, documents and tests are made from."""

from typing import Any

from backroom.api.iam import IamHandlers
from backroom.api.instances import InstanceHandlers
from backroom.api.openapi import OpenApiHandler
from backroom.api.routes import Route, RouteTable
from backroom.api.submissions import SubmissionHandlers
from backroom.api.tasks import TaskHandlers
from backroom.operations.create_instance import CREATE_INSTANCE
from backroom.operations.delete_instance import DELETE_INSTANCE
from backroom.operations.public_ip import BIND_PUBLIC_IP, UNBIND_PUBLIC_IP
from backroom.wire import iam, instance_requests, instances, public_access
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
    open_api = OpenApiHandler(lambda: table.routes)
    table = RouteTable(
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
                "GET", "/backroom/v1/openapi.json", "ShowOpenApi", open_api.show_open_api,
                identity="none", answer=dict[str, Any],
            ),
        )
    )  # fmt: skip
    return table
