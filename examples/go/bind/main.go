// Ask for public access, find the task by its name, and wait for it: the call answers without an id.
package main

import (
	"fmt"
	"os"

	"backroom.example/tasks/client"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/kafka/v2/model"
)

func main() {
	kafka := client.New()
	addressID, bandwidth := "1aea7aed-e7d8-40ea-b3de-6f3ee9d5db9f", int32(5)
	_, err := kafka.ModifyKafkaPublicIpAccessSwitch(&model.ModifyKafkaPublicIpAccessSwitchRequest{
		InstanceId: client.InstanceID(),
		Body: &model.ModifyKafkaPublicIpAccessSwitchReq{
			PublicipId:       &addressID,
			PublicBoundwidth: &bandwidth,
		},
	})
	client.Check(err)
	listed, err := kafka.ListBackgroundTasks(
		&model.ListBackgroundTasksRequest{InstanceId: client.InstanceID()})
	client.Check(err)
	for _, task := range *listed.Tasks {
		if *task.Name == "bindInstancePublicIp" {
			client.Wait(kafka, *task.Id)
			return
		}
	}
	fmt.Fprintln(os.Stderr, "there is no such task")
	os.Exit(1)
}
