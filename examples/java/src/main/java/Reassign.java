import com.huaweicloud.sdk.kafka.v2.KafkaClient;
import com.huaweicloud.sdk.kafka.v2.model.CreateInstanceTopicReq;
import com.huaweicloud.sdk.kafka.v2.model.CreateInstanceTopicRequest;
import com.huaweicloud.sdk.kafka.v2.model.CreateReassignmentTaskRequest;
import com.huaweicloud.sdk.kafka.v2.model.PartitionReassignEntity;
import com.huaweicloud.sdk.kafka.v2.model.PartitionReassignRequest;
import java.util.List;

/** Makes a topic, moves its replicas to another broker, and waits for the task. */
public final class Reassign {
    public static void main(String[] args) throws InterruptedException {
        KafkaClient client = Clients.kafka();
        String topic = "example-" + System.nanoTime();
        client.createInstanceTopic(new CreateInstanceTopicRequest()
            .withInstanceId(Clients.INSTANCE_ID)
            .withBody(new CreateInstanceTopicReq().withId(topic).withPartition(3).withReplication(1)));
        PartitionReassignEntity moves =
            new PartitionReassignEntity().withTopic(topic).withBrokers(List.of(2));
        String taskId = client.createReassignmentTask(new CreateReassignmentTaskRequest()
            .withInstanceId(Clients.INSTANCE_ID)
            .withBody(new PartitionReassignRequest().withReassignments(List.of(moves)))).getJobId();
        Clients.await(client, taskId);
    }
}
