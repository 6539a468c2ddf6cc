import com.huaweicloud.sdk.kafka.v2.KafkaClient;
import com.huaweicloud.sdk.kafka.v2.model.ListBackgroundTasksRequest;
import com.huaweicloud.sdk.kafka.v2.model.ListBackgroundTasksRespTasks;

/** Asks for public access, finds the task by its name, and waits: the call answers without an id. */
public final class BindPublicIp {
    public static void main(String[] args) throws InterruptedException {
        Clients.core().syncInvokeHttp(
            new MissingCalls.PublicAccessRequest(
                Clients.INSTANCE_ID, "1aea7aed-e7d8-40ea-b3de-6f3ee9d5db9f", 5),
            MissingCalls.MODIFY_PUBLIC_ACCESS);
        KafkaClient client = Clients.kafka();
        ListBackgroundTasksRequest newest =
            new ListBackgroundTasksRequest().withInstanceId(Clients.INSTANCE_ID);
        for (ListBackgroundTasksRespTasks task : client.listBackgroundTasks(newest).getTasks()) {
            if (task.getName().equals("bindInstancePublicIp")) {
                Clients.await(client, task.getId());
            }
        }
        throw new IllegalStateException("there is no such task");
    }
}
