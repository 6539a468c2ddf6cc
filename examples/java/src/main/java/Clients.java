import com.huaweicloud.sdk.core.ClientBuilder;
import com.huaweicloud.sdk.core.HcClient;
import com.huaweicloud.sdk.core.auth.BasicCredentials;
import com.huaweicloud.sdk.core.auth.ICredential;
import com.huaweicloud.sdk.kafka.v2.KafkaClient;
import com.huaweicloud.sdk.kafka.v2.model.ListBackgroundTasksRespTasks;
import com.huaweicloud.sdk.kafka.v2.model.ShowBackgroundTaskRequest;
import com.huaweicloud.sdk.kafka.v2.region.KafkaRegion;

/** What the examples share: clients from the environment, and waiting for a task. */
final class Clients {
    static final String INSTANCE_ID = System.getenv("BACKROOM_INSTANCE_ID");
    private static final long POLL_MS = 200;

    private Clients() {
    }

    static ICredential credentials() {
        return new BasicCredentials()
            .withAk(System.getenv("CLOUD_SDK_AK"))
            .withSk(System.getenv("CLOUD_SDK_SK"))
            .withProjectId(System.getenv("BACKROOM_PROJECT_ID"));
    }

    static KafkaClient kafka() {
        return KafkaClient.newBuilder()
            .withCredential(credentials())
            .withRegion(KafkaRegion.valueOf(System.getenv("BACKROOM_REGION")))
            .build();
    }

    /** The client below the one above, for calls that the latter has no method for. */
    static HcClient core() {
        return new ClientBuilder<>(client -> client)
            .withCredential(credentials())
            .withRegion(KafkaRegion.valueOf(System.getenv("BACKROOM_REGION")))
            .build();
    }

    /** Prints the id of the task when it has ended. Exit code 1 unless it succeeded. */
    static void await(KafkaClient client, String taskId) throws InterruptedException {
        ShowBackgroundTaskRequest request =
            new ShowBackgroundTaskRequest().withInstanceId(INSTANCE_ID).withTaskId(taskId);
        while (true) {
            ListBackgroundTasksRespTasks task = client.showBackgroundTask(request).getTasks().get(0);
            System.err.println(task.getId() + " " + task.getStatus());
            String status = task.getStatus().toString();
            if (status.equals("SUCCESS") || status.equals("FAILED") || status.equals("DELETED")) {
                System.out.println(task.getId());
                System.exit(status.equals("SUCCESS") ? 0 : 1);
            }
            Thread.sleep(POLL_MS);
        }
    }
}
