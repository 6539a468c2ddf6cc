import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.huaweicloud.sdk.core.ClientBuilder;
import com.huaweicloud.sdk.core.HcClient;
import com.huaweicloud.sdk.core.auth.BasicCredentials;
import com.huaweicloud.sdk.core.exception.ServiceResponseException;
import com.huaweicloud.sdk.core.utils.JsonUtils;
import com.huaweicloud.sdk.kafka.v2.KafkaClient;
import com.huaweicloud.sdk.kafka.v2.model.CreateInstanceTopicReq;
import com.huaweicloud.sdk.kafka.v2.model.CreateInstanceTopicRequest;
import com.huaweicloud.sdk.kafka.v2.model.CreateReassignmentTaskRequest;
import com.huaweicloud.sdk.kafka.v2.model.DeleteBackgroundTaskRequest;
import com.huaweicloud.sdk.kafka.v2.model.ListBackgroundTasksRequest;
import com.huaweicloud.sdk.kafka.v2.model.ListBackgroundTasksRespTasks;
import com.huaweicloud.sdk.kafka.v2.model.ListInstancesRequest;
import com.huaweicloud.sdk.kafka.v2.model.PartitionReassignEntity;
import com.huaweicloud.sdk.kafka.v2.model.PartitionReassignRequest;
import com.huaweicloud.sdk.kafka.v2.model.ShowBackgroundTaskRequest;
import com.huaweicloud.sdk.kafka.v2.region.KafkaRegion;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;

/**
 * Reads sessions from standard input as JSON, prints what the SDK made of each call, a line each.
 * What a session holds and what is printed: interop/programs.py.
 */
public final class Interop {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final long POLL_MS = 100;
    private static final long DEADLINE_NS = 60_000_000_000L;
    private static final Set<String> ENDED = Set.of("SUCCESS", "FAILED", "DELETED", "CANCELLED");

    private final KafkaClient kafka;
    private final HcClient core;
    private final String instanceId;

    private Interop(JsonNode session) {
        instanceId = session.get("instance_id").asText();
        kafka = build(KafkaClient.newBuilder(), session);
        core = build(new ClientBuilder<>(Function.<HcClient>identity()), session);
    }

    private static <T> T build(ClientBuilder<T> builder, JsonNode session) {
        BasicCredentials credentials = new BasicCredentials()
            .withAk(session.get("ak").asText()).withSk(session.get("sk").asText());
        if (session.hasNonNull("security_token")) {
            credentials.withSecurityToken(session.get("security_token").asText());
        }
        if (session.hasNonNull("project_id")) {
            credentials.withProjectId(session.get("project_id").asText());
        }
        builder.withCredential(credentials);
        if (session.hasNonNull("endpoint")) {
            return builder.withEndpoint(session.get("endpoint").asText()).build();
        }
        return builder.withRegion(KafkaRegion.valueOf(session.get("region").asText())).build();
    }

    private Object answer(JsonNode call) throws InterruptedException {
        switch (call.get("op").asText()) {
            case "show":
                return kafka.showBackgroundTask(new ShowBackgroundTaskRequest()
                    .withInstanceId(instanceId).withTaskId(call.get("task_id").asText()));
            case "list":
                return kafka.listBackgroundTasks(listed(call));
            case "instances":
                return kafka.listInstances(new ListInstancesRequest()
                    .withEngine(ListInstancesRequest.EngineEnum.KAFKA)
                    .withName(call.get("name").asText())
                    .withExactMatchName(ListInstancesRequest.ExactMatchNameEnum.TRUE));
            case "progress":
                return core.syncInvokeHttp(
                    new MissingCalls.ProgressRequest(instanceId, call.get("task_id").asText()),
                    MissingCalls.SHOW_PROGRESS);
            case "delete":
                return Map.of("status", kafka.deleteBackgroundTask(new DeleteBackgroundTaskRequest()
                    .withInstanceId(instanceId).withTaskId(call.get("task_id").asText()))
                    .getHttpStatusCode());
            case "bind":
                return bind(call);
            case "create_topic":
                return kafka.createInstanceTopic(new CreateInstanceTopicRequest()
                    .withInstanceId(instanceId)
                    .withBody(new CreateInstanceTopicReq()
                        .withId(call.get("topic").asText())
                        .withPartition(call.get("partitions").asInt())
                        .withReplication(call.get("replicas").asInt())
                        .withTopicDesc(call.get("description").asText())));
            case "reassign":
                return reassign(call);
            default:
                throw new IllegalArgumentException(call.toString());
        }
    }

    private ListBackgroundTasksRequest listed(JsonNode call) {
        ListBackgroundTasksRequest request = new ListBackgroundTasksRequest().withInstanceId(instanceId);
        if (call.has("start")) {
            request.withStart(call.get("start").asInt());
        }
        if (call.has("limit")) {
            request.withLimit(call.get("limit").asInt());
        }
        if (call.has("begin_time")) {
            request.withBeginTime(call.get("begin_time").asText());
        }
        if (call.has("end_time")) {
            request.withEndTime(call.get("end_time").asText());
        }
        return request;
    }

    private Object bind(JsonNode call) throws InterruptedException {
        core.syncInvokeHttp(
            new MissingCalls.PublicAccessRequest(
                instanceId, call.get("publicip_id").asText(), call.get("bandwidth").asInt()),
            MissingCalls.MODIFY_PUBLIC_ACCESS);
        ListBackgroundTasksRequest newest = new ListBackgroundTasksRequest().withInstanceId(instanceId);
        for (ListBackgroundTasksRespTasks task : kafka.listBackgroundTasks(newest).getTasks()) {
            if (task.getName().equals("bindInstancePublicIp")) {
                return await(task.getId());
            }
        }
        throw new IllegalStateException("there is no such task");
    }

    private Object reassign(JsonNode call) throws InterruptedException {
        List<Integer> brokers = new ArrayList<>();
        call.get("brokers").forEach(broker -> brokers.add(broker.asInt()));
        PartitionReassignEntity moves =
            new PartitionReassignEntity().withTopic(call.get("topic").asText()).withBrokers(brokers);
        return await(kafka.createReassignmentTask(new CreateReassignmentTaskRequest()
            .withInstanceId(instanceId)
            .withBody(new PartitionReassignRequest().withReassignments(List.of(moves)))).getJobId());
    }

    private Object await(String taskId) throws InterruptedException {
        ShowBackgroundTaskRequest request =
            new ShowBackgroundTaskRequest().withInstanceId(instanceId).withTaskId(taskId);
        List<String> statuses = new ArrayList<>();
        long until = System.nanoTime() + DEADLINE_NS;
        while (System.nanoTime() < until) {
            ListBackgroundTasksRespTasks task = kafka.showBackgroundTask(request).getTasks().get(0);
            String status = task.getStatus().toString();
            if (statuses.isEmpty() || !statuses.get(statuses.size() - 1).equals(status)) {
                statuses.add(status);
            }
            if (ENDED.contains(status)) {
                return Map.of("task", task, "statuses", statuses);
            }
            Thread.sleep(POLL_MS);
        }
        throw new IllegalStateException("the task did not end");
    }

    private static Map<String, Object> seen(Exception error) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("type", error.getClass().getSimpleName());
        if (error instanceof ServiceResponseException) {
            ServiceResponseException refused = (ServiceResponseException) error;
            fields.put("status", refused.getHttpStatusCode());
            fields.put("code", refused.getErrorCode());
            fields.put("message", refused.getErrorMsg());
            fields.put("request_id", refused.getRequestId());
        } else {
            fields.put("message", String.valueOf(error.getMessage()));
        }
        return fields;
    }

    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        for (JsonNode session : JSON.readTree(System.in)) {
            Interop interop = new Interop(session);
            for (JsonNode call : session.get("calls")) {
                Map<String, Object> line = new LinkedHashMap<>();
                line.put("label", call.get("label").asText());
                try {
                    line.put("answer", JSON.readTree(JsonUtils.toJSON(interop.answer(call))));
                } catch (RuntimeException e) {
                    line.put("error", seen(e));
                }
                out.println(JSON.writeValueAsString(line));
            }
        }
        System.exit(0);
    }
}
