// Package client is what the examples share: a client from the environment, and waiting for a task.
package client

import (
	"fmt"
	"os"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	kafka "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/kafka/v2"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/kafka/v2/model"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/kafka/v2/region"
)

const poll = 200 * time.Millisecond

// InstanceID is the instance that the examples work on.
func InstanceID() string { return os.Getenv("BACKROOM_INSTANCE_ID") }

// New makes a client of the region, whose endpoint the SDK finds in the environment.
func New() *kafka.KafkaClient {
	credentials := basic.NewCredentialsBuilder().
		WithAk(os.Getenv("CLOUD_SDK_AK")).
		WithSk(os.Getenv("CLOUD_SDK_SK")).
		WithProjectId(os.Getenv("BACKROOM_PROJECT_ID")).
		Build()
	return kafka.NewKafkaClient(kafka.KafkaClientBuilder().
		WithRegion(region.ValueOf(os.Getenv("BACKROOM_REGION"))).
		WithCredential(credentials).
		Build())
}

// Check ends the program with the error, if there is one.
func Check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Wait prints the id of the task when it has ended, and ends the program unless it succeeded.
func Wait(client *kafka.KafkaClient, taskID string) {
	request := &model.ShowBackgroundTaskRequest{InstanceId: InstanceID(), TaskId: taskID}
	for {
		shown, err := client.ShowBackgroundTask(request)
		Check(err)
		task := (*shown.Tasks)[0]
		fmt.Fprintln(os.Stderr, *task.Id, *task.Status)
		switch *task.Status {
		case "SUCCESS":
			fmt.Println(*task.Id)
			return
		case "FAILED", "DELETED":
			fmt.Println(*task.Id)
			os.Exit(1)
		}
		time.Sleep(poll)
	}
}
