import com.huaweicloud.sdk.core.exception.ServiceResponseException;
import com.huaweicloud.sdk.core.utils.JsonUtils;
import com.huaweicloud.sdk.kafka.v2.model.ShowBackgroundTaskRequest;

/** Prints one record of background task management. */
public final class ShowBackgroundTask {
    public static void main(String[] args) {
        ShowBackgroundTaskRequest request =
            new ShowBackgroundTaskRequest().withInstanceId(Clients.INSTANCE_ID).withTaskId(args[0]);
        try {
            System.out.println(JsonUtils.toJSON(Clients.kafka().showBackgroundTask(request)));
        } catch (ServiceResponseException e) {
            System.err.println(e.getHttpStatusCode() + " " + e.getErrorCode() + ": " + e.getErrorMsg());
            System.err.println("request id " + e.getRequestId());
            System.exit(1);
        }
    }
}
