// Print the background tasks of the instance, newest first, page by page. `start` counts from 1.
const { kafka, newClient, run } = require("./client");

const PAGE = 10;

run(async () => {
  const client = newClient();
  for (let start = 1; ; ) {
    const request = new kafka.ListBackgroundTasksRequest()
      .withInstanceId(process.env.BACKROOM_INSTANCE_ID)
      .withStart(start)
      .withLimit(PAGE);
    const { task_count: total, tasks } = await client.listBackgroundTasks(request);
    for (const task of tasks) {
      console.log(task.id, task.status, task.name, task.created_at);
    }
    start += tasks.length;
    if (tasks.length === 0 || start > Number(total)) {
      return;
    }
  }
});
