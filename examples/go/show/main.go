// Print one record of background task management.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"backroom.example/tasks/client"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/kafka/v2/model"
)

func main() {
	shown, err := client.New().ShowBackgroundTask(&model.ShowBackgroundTaskRequest{
		InstanceId: client.InstanceID(),
		TaskId:     os.Args[1],
	})
	client.Check(err)
	text, err := json.Marshal(shown)
	client.Check(err)
	fmt.Println(string(text))
}
