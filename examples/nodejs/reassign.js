// Make a topic, move its replicas to another broker, and wait for the task.
const { kafka, newClient, run, wait } = require("./client");

run(async () => {
  const client = newClient();
  const instanceId = process.env.BACKROOM_INSTANCE_ID;
  const topic = `example-${process.hrtime.bigint()}`;
  await client.createInstanceTopic(
    new kafka.CreateInstanceTopicRequest()
      .withInstanceId(instanceId)
      .withBody(new kafka.CreateInstanceTopicReq(topic).withPartition(3).withReplication(1)),
  );
  const moves = new kafka.PartitionReassignEntity().withTopic(topic).withBrokers([2]);
  const asked = await client.createKafkaReassignmentTask(
    new kafka.CreateKafkaReassignmentTaskRequest()
      .withInstanceId(instanceId)
      .withBody(new kafka.PartitionReassignRequest([moves])),
  );
  await wait(client, asked.job_id);
});
