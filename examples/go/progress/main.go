// Print how far an extension has come; other kinds of task have no progress.
package main

import (
	"fmt"
	"os"

	"backroom.example/tasks/client"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/kafka/v2/model"
)

func main() {
	progress, err := client.New().ShowBackgroundTaskProgress(&model.ShowBackgroundTaskProgressRequest{
		InstanceId: client.InstanceID(),
		TaskId:     os.Args[1],
	})
	client.Check(err)
	fmt.Printf("%d %%, %d s left\n", *progress.ProgressPercentage, *progress.RemainTime)
	for _, step := range *progress.StepList {
		fmt.Println(*step.Name, *step.Statue)
	}
}
