// This SDK reads no variable for the endpoint of a region: the program gives it.
const { BasicCredentials } = require("@huaweicloud/huaweicloud-sdk-core");
const kafka = require("@huaweicloud/huaweicloud-sdk-kafka/v2/public-api");

const POLL_MS = 200;

function newClient() {
  const credentials = new BasicCredentials()
    .withAk(process.env.CLOUD_SDK_AK)
    .withSk(process.env.CLOUD_SDK_SK)
    .withProjectId(process.env.BACKROOM_PROJECT_ID);
  return kafka.KafkaClient.newBuilder()
    .withCredential(credentials)
    .withEndpoint(process.env.BACKROOM_ENDPOINT)
    .build();
}

async function show(client, taskId) {
  const request = new kafka.ShowBackgroundTaskRequest()
    .withInstanceId(process.env.BACKROOM_INSTANCE_ID)
    .withTaskId(taskId);
  return client.showBackgroundTask(request);
}

/** Prints the id of the task when it has ended. Exit code 1 unless it succeeded. */
async function wait(client, taskId) {
  for (;;) {
    const [task] = (await show(client, taskId)).tasks;
    console.error(task.id, task.status);
    if (["SUCCESS", "FAILED", "DELETED"].includes(task.status)) {
      console.log(task.id);
      process.exitCode = task.status === "SUCCESS" ? 0 : 1;
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function run(main) {
  main().catch((error) => {
    console.error(error.httpStatusCode, error.errorCode, error.errorMsg ?? error);
    console.error("request id", error.requestId);
    process.exitCode = 1;
  });
}

module.exports = { kafka, newClient, run, show, wait };
