import com.fasterxml.jackson.annotation.JsonProperty;
import com.huaweicloud.sdk.core.SdkResponse;
import com.huaweicloud.sdk.core.http.FieldExistence;
import com.huaweicloud.sdk.core.http.HttpMethod;
import com.huaweicloud.sdk.core.http.HttpRequestDef;
import com.huaweicloud.sdk.core.http.LocationType;
import java.util.List;

/** Two calls that the Kafka package has no methods for up to 3.1.143; the SDK's core makes them. */
final class MissingCalls {
    private MissingCalls() {
    }

    public static class ProgressRequest {
        private String instanceId;
        private String taskId;

        public ProgressRequest() {
        }

        ProgressRequest(String instanceId, String taskId) {
            this.instanceId = instanceId;
            this.taskId = taskId;
        }
    }

    public static class Step {
        @JsonProperty("name") public String name;
        @JsonProperty("statue") public String statue;
        @JsonProperty("start_time") public Long startTime;
        @JsonProperty("end_time") public Long endTime;
    }

    public static class ProgressResponse extends SdkResponse {
        @JsonProperty("progress_percentage") public Integer progressPercentage;
        @JsonProperty("remain_time") public Integer remainTime;
        @JsonProperty("step_list") public List<Step> stepList;
    }

    public static class PublicAccess {
        @JsonProperty("publicip_id") public String publicipId;
        @JsonProperty("public_boundwidth") public Integer publicBoundwidth;
    }

    public static class PublicAccessRequest {
        private String instanceId;
        private PublicAccess body;

        public PublicAccessRequest() {
        }

        PublicAccessRequest(String instanceId, String publicipId, int bandwidth) {
            this.instanceId = instanceId;
            this.body = new PublicAccess();
            this.body.publicipId = publicipId;
            this.body.publicBoundwidth = bandwidth;
        }
    }

    public static class PublicAccessResponse extends SdkResponse {
    }

    static final HttpRequestDef<ProgressRequest, ProgressResponse> SHOW_PROGRESS = HttpRequestDef
        .builder(HttpMethod.GET, ProgressRequest.class, ProgressResponse.class)
        .withName("ShowBackgroundTaskProgress")
        .withUri("/v2/{project_id}/instances/{instance_id}/tasks/{task_id}/progress")
        .withContentType("application/json")
        .withRequestField("instance_id", LocationType.Path, FieldExistence.NON_NULL_NON_EMPTY,
            String.class, f -> f.withMarshaller(r -> r.instanceId, (r, v) -> r.instanceId = v))
        .withRequestField("task_id", LocationType.Path, FieldExistence.NON_NULL_NON_EMPTY,
            String.class, f -> f.withMarshaller(r -> r.taskId, (r, v) -> r.taskId = v))
        .build();

    static final HttpRequestDef<PublicAccessRequest, PublicAccessResponse> MODIFY_PUBLIC_ACCESS = HttpRequestDef
        .builder(HttpMethod.POST, PublicAccessRequest.class, PublicAccessResponse.class)
        .withName("ModifyKafkaPublicIpAccessSwitch")
        .withUri("/v1/{project_id}/instances/{instance_id}/public-boundwidth")
        .withContentType("application/json")
        .withRequestField("instance_id", LocationType.Path, FieldExistence.NON_NULL_NON_EMPTY,
            String.class, f -> f.withMarshaller(r -> r.instanceId, (r, v) -> r.instanceId = v))
        .withRequestField("body", LocationType.Body, FieldExistence.NON_NULL_NON_EMPTY,
            PublicAccess.class, f -> f.withMarshaller(r -> r.body, (r, v) -> r.body = v))
        .build();
}
