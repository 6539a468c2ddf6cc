// Make a topic, move its replicas to another broker, and wait for the task.
package main

import (
	"fmt"
	"time"

	"backroom.example/tasks/client"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/kafka/v2/model"
)

func main() {
	kafka := client.New()
	topic := fmt.Sprintf("example-%d", time.Now().UnixNano())
	partitions, replicas := int32(3), int32(1)
	_, err := kafka.CreateInstanceTopic(&model.CreateInstanceTopicRequest{
		InstanceId: client.InstanceID(),
		Body: &model.CreateInstanceTopicReq{
			Id: topic, Partition: &partitions, Replication: &replicas,
		},
	})
	client.Check(err)
	brokers := []int32{2}
	asked, err := kafka.CreateKafkaReassignmentTask(&model.CreateKafkaReassignmentTaskRequest{
		InstanceId: client.InstanceID(),
		Body: &model.PartitionReassignRequest{
			Reassignments: []model.PartitionReassignEntity{{Topic: topic, Brokers: &brokers}},
		},
	})
	client.Check(err)
	client.Wait(kafka, *asked.JobId)
}
