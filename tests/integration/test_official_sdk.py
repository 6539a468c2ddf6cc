"""The official Python SDK against a real server: what it makes of our answers."""

import json
import warnings

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.http.http_config import HttpConfig, SigningAlgorithm
from huaweicloudsdkkafka import v2
from tests.support.processes import backroom, environment
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    # the SDK keeps connections that it never closes
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def env(served):
    return environment(served.data)


def make_client(served, env, ak=None, sk=None, algorithm=None):
    config = HttpConfig.get_default_config()
    config.ssl_ca_cert = str(served.authority)
    if algorithm is not None:
        config.signing_algorithm = algorithm
    credentials = BasicCredentials(
        ak or env["CLOUD_SDK_AK"], sk or env["CLOUD_SDK_SK"], env["BACKROOM_PROJECT_ID"]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return (
            v2.KafkaClient.new_builder()
            .with_credentials(credentials)
            .with_endpoint(served.endpoint)
            .with_http_config(config)
            .build()
        )


@pytest.fixture(scope="module")
def client(served, env):
    return make_client(served, env)


@pytest.fixture(scope="module")
def instance_id(env):
    return env["BACKROOM_INSTANCE_ID"]


def switch(client, instance_id, **body):
    return client.modify_kafka_public_ip_access_switch(
        v2.ModifyKafkaPublicIpAccessSwitchRequest(
            instance_id=instance_id, body=v2.ModifyKafkaPublicIPAccessSwitchReq(**body)
        )
    )


def newest(client, instance_id):
    request = v2.ListBackgroundTasksRequest(instance_id=instance_id, start=1, limit=1)
    return client.list_background_tasks(request).tasks[0]


def ended(client, instance_id, task_id):
    request = v2.ShowBackgroundTaskRequest(instance_id=instance_id, task_id=task_id)
    statuses = []

    def is_over():
        (task,) = client.show_background_task(request).tasks
        statuses.append(task.status)
        return task if task.status in {"SUCCESS", "FAILED"} else None

    task = wait_until(is_over)
    assert set(statuses[:-1]) <= {"CREATED"}
    return task


def refused(call, *arguments):
    with pytest.raises(ClientRequestException) as caught:
        call(*arguments)
    error = caught.value
    assert len(error.request_id) == 32
    return error.status_code, error.error_code


def test_public_access_from_the_call_to_the_deleted_record(client, instance_id):
    answer = switch(client, instance_id, publicip_id="eip-sdk", public_boundwidth=7)
    assert answer.status_code == 204
    task_id = newest(client, instance_id).id
    task = ended(client, instance_id, task_id)
    assert task.status == "SUCCESS"
    assert json.loads(task.params)["public_ip_id"] == "eip-sdk"
    shown = client.show_instance(v2.ShowInstanceRequest(instance_id=instance_id))
    assert shown.enable_publicip is True
    assert shown.public_bandwidth == 7
    assert shown.status == "RUNNING"
    progress = v2.ShowBackgroundTaskProgressRequest(instance_id=instance_id, task_id=task_id)
    assert refused(client.show_background_task_progress, progress) == (400, "DMS.00400800")
    delete = v2.DeleteBackgroundTaskRequest(instance_id=instance_id, task_id=task_id)
    assert client.delete_background_task(delete).status_code == 204
    show = v2.ShowBackgroundTaskRequest(instance_id=instance_id, task_id=task_id)
    assert refused(client.show_background_task, show) == (404, "DMS.00404001")


def test_list_and_its_filters(client, instance_id):
    switch(client, instance_id, publicip_id="", public_boundwidth=0)
    ended(client, instance_id, newest(client, instance_id).id)
    everything = client.list_background_tasks(
        v2.ListBackgroundTasksRequest(
            instance_id=instance_id, begin_time="20200101000000", end_time="29991231235959"
        )
    )
    assert int(everything.task_count) == len(everything.tasks) >= 1
    nothing = client.list_background_tasks(
        v2.ListBackgroundTasksRequest(instance_id=instance_id, end_time="20200101000000")
    )
    assert (nothing.task_count, nothing.tasks) == ("0", [])
    too_many = v2.ListBackgroundTasksRequest(instance_id=instance_id, limit=101)
    assert refused(client.list_background_tasks, too_many) == (400, "DMS.00400062")


def test_scheduled_tasks(client, instance_id):
    listed = client.list_scheduled_tasks(v2.ListScheduledTasksRequest(instance_id=instance_id))
    assert (listed.job_count, listed.jobs) == (0, [])
    missing = {"instance_id": instance_id, "task_id": "0" * 32}
    update = v2.UpdateScheduledTaskRequest(**missing, status="CANCELLED")
    assert refused(client.update_scheduled_task, update) == (404, "DMS.00404001")
    delete = v2.DeleteScheduledTaskRequest(**missing)
    assert refused(client.delete_scheduled_task, delete) == (404, "DMS.00404001")


def test_an_instance_from_create_to_gone(client):
    created = client.create_post_paid_kafka_instance(
        v2.CreatePostPaidKafkaInstanceRequest(
            body=v2.CreateInstanceByEngineReq(
                name="kafka-sdk",
                engine="kafka",
                engine_version="2.7",
                broker_num=1,
                storage_space=100,
                vpc_id="vpc",
                subnet_id="subnet",
                security_group_id="group",
                available_zones=["az1"],
                product_id="c6.2u4g.single",
                storage_spec_code="dms.physical.storage.high.v2",
            )
        )
    )
    show = v2.ShowInstanceRequest(instance_id=created.instance_id)
    wait_until(lambda: client.show_instance(show).status == "RUNNING")
    task = newest(client, created.instance_id)
    assert task.name == "createInstance"
    listed = client.list_instances(v2.ListInstancesRequest(name="kafka-sdk"))
    assert [instance.instance_id for instance in listed.instances] == [created.instance_id]
    client.delete_instance(v2.DeleteInstanceRequest(instance_id=created.instance_id))

    def is_gone():
        try:
            client.show_instance(show)
        except ClientRequestException as error:
            return error.error_code
        return None

    assert wait_until(is_gone) == "DMS.00404022"


def test_restart_of_an_instance(client, instance_id):
    request = v2.BatchRestartOrDeleteInstancesRequest(
        body=v2.BatchRestartOrDeleteInstanceReq(action="restart", instances=[instance_id])
    )
    answer = client.batch_restart_or_delete_instances(request)
    assert [(row.result, row.instance) for row in answer.results] == [("success", instance_id)]
    task = newest(client, instance_id)
    assert task.name == "restartInstance"
    show = v2.ShowInstanceRequest(instance_id=instance_id)
    assert client.show_instance(show).status == "RESTARTING"
    assert ended(client, instance_id, task.id).status == "SUCCESS"
    assert client.show_instance(show).status == "RUNNING"
    failures = v2.BatchRestartOrDeleteInstancesRequest(
        body=v2.BatchRestartOrDeleteInstanceReq(action="delete", all_failure="kafka")
    )
    assert client.batch_restart_or_delete_instances(failures).status_code == 204


def test_extension_of_an_instance_by_both_calls(client, instance_id):
    def resized(call, request):
        job_id = call(request).job_id
        asked = v2.ShowBackgroundTaskProgressRequest(instance_id=instance_id, task_id=job_id)

        def is_over():
            found = client.show_background_task_progress(asked)
            return found if found.progress_percentage == 100 else None

        found = wait_until(is_over)
        names = [step.name for step in found.step_list]
        assert names == ["pre_check", "disk_expansion", "rolling_scaling"]
        assert {step.statue for step in found.step_list} == {"COMPLETED"}
        assert found.remain_time == 0
        return client.show_instance(v2.ShowInstanceRequest(instance_id=instance_id))

    body = v2.ResizeEngineInstanceReq(oper_type="storage", new_storage_space=600)
    request = v2.ResizeKafkaInstanceRequest(instance_id=instance_id, body=body)
    shown = resized(client.resize_kafka_instance, request)
    assert (shown.status, shown.total_storage_space, shown.extend_times) == ("RUNNING", 600, 1)
    body = v2.ResizeEngineInstanceReq(oper_type="horizontal", new_broker_num=4)
    request = v2.ResizeEngineInstanceRequest(engine="kafka", instance_id=instance_id, body=body)
    shown = resized(client.resize_engine_instance, request)
    assert (shown.status, shown.total_storage_space, shown.broker_num) == ("RUNNING", 800, 4)
    body = v2.ResizeEngineInstanceReq(oper_type="storage", new_storage_space=100)
    request = v2.ResizeKafkaInstanceRequest(instance_id=instance_id, body=body)
    assert refused(client.resize_kafka_instance, request) == (400, "DMS.00400500")


@pytest.mark.parametrize(
    "algorithm",
    [
        SigningAlgorithm.HMAC_SHA256,
        SigningAlgorithm.HMAC_SM3,
        SigningAlgorithm.ECDSA_P256_SHA256,
    ],
)
def test_each_signing_algorithm_of_the_sdk(served, env, instance_id, algorithm):
    client = make_client(served, env, algorithm=algorithm)
    shown = client.show_instance(v2.ShowInstanceRequest(instance_id=instance_id))
    assert shown.instance_id == instance_id


def test_a_wrong_secret_and_an_unknown_key(served, env, instance_id):
    request = v2.ShowInstanceRequest(instance_id=instance_id)
    wrong = make_client(served, env, sk="not-the-secret")
    assert refused(wrong.show_instance, request) == (401, "APIGW.0301")
    ghost = make_client(served, env, ak="GHOST")
    assert refused(ghost.show_instance, request) == (401, "APIGW.0301")


def test_keys_added_and_revoked_beside_the_server_count_at_once(served, env, instance_id):
    def keys(*arguments):
        done = backroom("keys", *arguments, "--data", str(served.data))
        assert done.returncode == 0, done.stderr

    keys("add", "--ak", "VIEWER", "--sk", "viewer-secret", "--role", "viewer",
         "--project-id", env["BACKROOM_PROJECT_ID"])  # fmt: skip
    viewer = make_client(served, env, ak="VIEWER", sk="viewer-secret")
    request = v2.ShowInstanceRequest(instance_id=instance_id)
    assert viewer.show_instance(request).instance_id == instance_id
    with pytest.raises(ClientRequestException) as caught:
        switch(viewer, instance_id, publicip_id="x")
    assert (caught.value.status_code, caught.value.error_code) == (403, "DMS.00403002")
    keys("revoke", "VIEWER")
    assert refused(viewer.show_instance, request) == (401, "APIGW.0301")
