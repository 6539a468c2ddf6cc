// Reads sessions from standard input as JSON, prints what the SDK made of each call, a line each.
// What a session holds and what is printed: interop/programs.py.
const { BasicCredentials } = require("@huaweicloud/huaweicloud-sdk-core");
const { Region } = require("@huaweicloud/huaweicloud-sdk-core/region/region");
const kafka = require("@huaweicloud/huaweicloud-sdk-kafka/v2/public-api");

const POLL_MS = 100;
const DEADLINE_MS = 60_000;
const ENDED = ["SUCCESS", "FAILED", "DELETED", "CANCELLED"];

function clientOf(session) {
  const credentials = new BasicCredentials().withAk(session.ak).withSk(session.sk);
  if (session.security_token) {
    credentials.withSecurityToken(session.security_token);
  }
  if (session.project_id) {
    credentials.withProjectId(session.project_id);
  } else {
    credentials.withIamEndpoint(session.iam_endpoint);
  }
  const builder = kafka.KafkaClient.newBuilder().withCredential(credentials);
  if (session.endpoint) {
    return builder.withEndpoint(session.endpoint).build();
  }
  return builder.withRegion(new Region(session.region, session.region_endpoint)).build();
}

async function waited(client, instanceId, taskId) {
  const statuses = [];
  const until = Date.now() + DEADLINE_MS;
  while (Date.now() < until) {
    const request = new kafka.ShowBackgroundTaskRequest().withInstanceId(instanceId).withTaskId(taskId);
    const [task] = (await client.showBackgroundTask(request)).tasks;
    if (statuses.at(-1) !== task.status) {
      statuses.push(task.status);
    }
    if (ENDED.includes(task.status)) {
      return { task, statuses };
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error("the task did not end");
}

const OPERATIONS = {
  show: (client, instanceId, call) =>
    client.showBackgroundTask(
      new kafka.ShowBackgroundTaskRequest().withInstanceId(instanceId).withTaskId(call.task_id),
    ),
  list: (client, instanceId, call) => {
    const request = new kafka.ListBackgroundTasksRequest().withInstanceId(instanceId);
    if (call.start !== undefined) request.withStart(call.start);
    if (call.limit !== undefined) request.withLimit(call.limit);
    if (call.begin_time !== undefined) request.withBeginTime(call.begin_time);
    if (call.end_time !== undefined) request.withEndTime(call.end_time);
    return client.listBackgroundTasks(request);
  },
  instances: (client, _instanceId, call) =>
    client.listInstances(
      new kafka.ListInstancesRequest().withEngine("kafka").withName(call.name).withExactMatchName("true"),
    ),
  progress: (client, instanceId, call) =>
    client.showBackgroundTaskProgress(
      new kafka.ShowBackgroundTaskProgressRequest().withInstanceId(instanceId).withTaskId(call.task_id),
    ),
  delete: async (client, instanceId, call) => {
    const answer = await client.deleteBackgroundTask(
      new kafka.DeleteBackgroundTaskRequest().withInstanceId(instanceId).withTaskId(call.task_id),
    );
    return { status: answer.httpStatusCode };
  },
  bind: async (client, instanceId, call) => {
    const body = new kafka.ModifyKafkaPublicIPAccessSwitchReq()
      .withPublicipId(call.publicip_id)
      .withPublicBoundwidth(call.bandwidth);
    await client.modifyKafkaPublicIpAccessSwitch(
      new kafka.ModifyKafkaPublicIpAccessSwitchRequest().withInstanceId(instanceId).withBody(body),
    );
    const listed = await OPERATIONS.list(client, instanceId, {});
    const task = listed.tasks.find((found) => found.name === "bindInstancePublicIp");
    return waited(client, instanceId, task.id);
  },
  create_topic: (client, instanceId, call) =>
    client.createInstanceTopic(
      new kafka.CreateInstanceTopicRequest()
        .withInstanceId(instanceId)
        .withBody(
          new kafka.CreateInstanceTopicReq(call.topic)
            .withPartition(call.partitions)
            .withReplication(call.replicas)
            .withTopicDesc(call.description),
        ),
    ),
  reassign: async (client, instanceId, call) => {
    const moves = new kafka.PartitionReassignEntity().withTopic(call.topic).withBrokers(call.brokers);
    const asked = await client.createKafkaReassignmentTask(
      new kafka.CreateKafkaReassignmentTaskRequest()
        .withInstanceId(instanceId)
        .withBody(new kafka.PartitionReassignRequest([moves])),
    );
    return waited(client, instanceId, asked.job_id);
  },
};

function seen(error) {
  if (error.httpStatusCode === undefined) {
    return { type: error.constructor.name, message: String(error.message ?? error) };
  }
  return {
    type: error.constructor.name,
    status: error.httpStatusCode,
    code: error.errorCode,
    message: error.errorMsg,
    request_id: error.requestId,
  };
}

async function main() {
  let text = "";
  for await (const chunk of process.stdin) {
    text += chunk;
  }
  for (const session of JSON.parse(text)) {
    const client = clientOf(session);
    for (const call of session.calls) {
      const line = { label: call.label };
      try {
        line.answer = await OPERATIONS[call.op](client, session.instance_id, call);
      } catch (error) {
        line.error = seen(error);
      }
      console.log(JSON.stringify(line));
    }
  }
}

main();
