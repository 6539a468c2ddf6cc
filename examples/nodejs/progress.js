// Print how far an extension has come; other kinds of task have no progress.
const { kafka, newClient, run } = require("./client");

run(async () => {
  const request = new kafka.ShowBackgroundTaskProgressRequest()
    .withInstanceId(process.env.BACKROOM_INSTANCE_ID)
    .withTaskId(process.argv[2]);
  const progress = await newClient().showBackgroundTaskProgress(request);
  console.log(`${progress.progress_percentage} %, ${progress.remain_time} s left`);
  for (const step of progress.step_list) {
    console.log(step.name, step.statue);
  }
});
