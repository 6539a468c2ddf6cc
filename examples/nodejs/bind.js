// Ask for public access, find the task by its name, and wait for it: the call answers without an id.
const { kafka, newClient, run, wait } = require("./client");

run(async () => {
  const client = newClient();
  const instanceId = process.env.BACKROOM_INSTANCE_ID;
  const body = new kafka.ModifyKafkaPublicIPAccessSwitchReq()
    .withPublicipId("1aea7aed-e7d8-40ea-b3de-6f3ee9d5db9f")
    .withPublicBoundwidth(5);
  await client.modifyKafkaPublicIpAccessSwitch(
    new kafka.ModifyKafkaPublicIpAccessSwitchRequest().withInstanceId(instanceId).withBody(body),
  );
  const listed = await client.listBackgroundTasks(
    new kafka.ListBackgroundTasksRequest().withInstanceId(instanceId),
  );
  await wait(client, listed.tasks.find((task) => task.name === "bindInstancePublicIp").id);
});
