import com.huaweicloud.sdk.kafka.v2.KafkaClient;
import com.huaweicloud.sdk.kafka.v2.model.ListBackgroundTasksRequest;
import com.huaweicloud.sdk.kafka.v2.model.ListBackgroundTasksRespTasks;
import com.huaweicloud.sdk.kafka.v2.model.ListBackgroundTasksResponse;

/** Prints the background tasks of the instance, newest first, page by page. */
public final class ListBackgroundTasks {
    private static final int PAGE = 10;

    public static void main(String[] args) {
        KafkaClient client = Clients.kafka();
        int start = 1; // counts from 1
        while (true) {
            ListBackgroundTasksResponse listed = client.listBackgroundTasks(new ListBackgroundTasksRequest()
                .withInstanceId(Clients.INSTANCE_ID).withStart(start).withLimit(PAGE));
            for (ListBackgroundTasksRespTasks task : listed.getTasks()) {
                System.out.println(String.join(" ",
                    task.getId(), task.getStatus().toString(), task.getName(), task.getCreatedAt()));
            }
            start += listed.getTasks().size();
            if (listed.getTasks().isEmpty() || start > Integer.parseInt(listed.getTaskCount())) {
                return;
            }
        }
    }
}
