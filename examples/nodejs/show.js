// Print one record of background task management.
const { newClient, run, show } = require("./client");

run(async () => {
  console.log(JSON.stringify(await show(newClient(), process.argv[2])));
});
