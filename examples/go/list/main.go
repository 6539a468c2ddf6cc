// Print the background tasks of the instance, newest first, page by page. Offset counts from 0.
package main

import (
	"fmt"
	"strconv"

	"backroom.example/tasks/client"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/kafka/v2/model"
)

func main() {
	kafka := client.New()
	limit := int32(10)
	for offset := int32(0); ; {
		listed, err := kafka.ListBackgroundTasks(&model.ListBackgroundTasksRequest{
			InstanceId: client.InstanceID(),
			Offset:     &offset,
			Limit:      &limit,
		})
		client.Check(err)
		for _, task := range *listed.Tasks {
			fmt.Println(*task.Id, *task.Status, *task.Name, *task.CreatedAt)
		}
		offset += int32(len(*listed.Tasks))
		total, err := strconv.Atoi(*listed.TaskCount)
		client.Check(err)
		if len(*listed.Tasks) == 0 || int(offset) >= total {
			return
		}
	}
}
