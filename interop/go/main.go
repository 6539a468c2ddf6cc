// Reads sessions from standard input as JSON, prints what the SDK made of each call, a line each.
// What a session holds and what is printed: interop/programs.py.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	kafka "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/kafka/v2"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/kafka/v2/model"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/kafka/v2/region"
)

const (
	poll     = 100 * time.Millisecond
	deadline = 60 * time.Second
)

type call struct {
	Label       string  `json:"label"`
	Op          string  `json:"op"`
	TaskID      string  `json:"task_id"`
	Name        string  `json:"name"`
	Start       *int32  `json:"start"`
	Limit       *int32  `json:"limit"`
	BeginTime   *string `json:"begin_time"`
	EndTime     *string `json:"end_time"`
	PublicIPID  string  `json:"publicip_id"`
	Bandwidth   int32   `json:"bandwidth"`
	Topic       string  `json:"topic"`
	Partitions  int32   `json:"partitions"`
	Replicas    int32   `json:"replicas"`
	Description string  `json:"description"`
	Brokers     []int32 `json:"brokers"`
}

type session struct {
	AK            string `json:"ak"`
	SK            string `json:"sk"`
	SecurityToken string `json:"security_token"`
	ProjectID     string `json:"project_id"`
	Region        string `json:"region"`
	Endpoint      string `json:"endpoint"`
	InstanceID    string `json:"instance_id"`
	Calls         []call `json:"calls"`
}

type waited struct {
	Task     model.ListBackgroundTasksRespTasks `json:"task"`
	Statuses []string                           `json:"statuses"`
}

type seen struct {
	Type      string `json:"type"`
	Status    int    `json:"status,omitempty"`
	Code      string `json:"code,omitempty"`
	Message   string `json:"message"`
	RequestID string `json:"request_id,omitempty"`
}

type line struct {
	Label  string `json:"label"`
	Answer any    `json:"answer,omitempty"`
	Error  *seen  `json:"error,omitempty"`
}

func clientOf(s session) *kafka.KafkaClient {
	credentials := basic.NewCredentialsBuilder().WithAk(s.AK).WithSk(s.SK)
	if s.SecurityToken != "" {
		credentials.WithSecurityToken(s.SecurityToken)
	}
	if s.ProjectID != "" {
		credentials.WithProjectId(s.ProjectID)
	}
	builder := kafka.KafkaClientBuilder()
	if s.Endpoint != "" {
		builder.WithEndpoints([]string{s.Endpoint})
	} else {
		builder.WithRegion(region.ValueOf(s.Region))
	}
	return kafka.NewKafkaClient(builder.WithCredential(credentials.Build()).Build())
}

func wait(client *kafka.KafkaClient, instanceID, taskID string) (any, error) {
	request := &model.ShowBackgroundTaskRequest{InstanceId: instanceID, TaskId: taskID}
	statuses := []string{}
	for until := time.Now().Add(deadline); time.Now().Before(until); time.Sleep(poll) {
		shown, err := client.ShowBackgroundTask(request)
		if err != nil {
			return nil, err
		}
		task := (*shown.Tasks)[0]
		if len(statuses) == 0 || statuses[len(statuses)-1] != *task.Status {
			statuses = append(statuses, *task.Status)
		}
		switch *task.Status {
		case "SUCCESS", "FAILED", "DELETED", "CANCELLED":
			return waited{task, statuses}, nil
		}
	}
	return nil, errors.New("the task did not end")
}

func list(client *kafka.KafkaClient, instanceID string, c call) (*model.ListBackgroundTasksResponse, error) {
	request := &model.ListBackgroundTasksRequest{
		InstanceId: instanceID, Limit: c.Limit, BeginTime: c.BeginTime, EndTime: c.EndTime,
	}
	if c.Start != nil {
		offset := *c.Start - 1
		request.Offset = &offset
	}
	return client.ListBackgroundTasks(request)
}

func instances(client *kafka.KafkaClient, name string) (any, error) {
	exactly := model.GetListInstancesRequestExactMatchNameEnum().TRUE
	return client.ListInstances(&model.ListInstancesRequest{
		Engine: model.GetListInstancesRequestEngineEnum().KAFKA, Name: &name, ExactMatchName: &exactly,
	})
}

func bind(client *kafka.KafkaClient, instanceID string, c call) (any, error) {
	_, err := client.ModifyKafkaPublicIpAccessSwitch(&model.ModifyKafkaPublicIpAccessSwitchRequest{
		InstanceId: instanceID,
		Body: &model.ModifyKafkaPublicIpAccessSwitchReq{
			PublicipId: &c.PublicIPID, PublicBoundwidth: &c.Bandwidth,
		},
	})
	if err != nil {
		return nil, err
	}
	listed, err := list(client, instanceID, call{})
	if err != nil {
		return nil, err
	}
	for _, task := range *listed.Tasks {
		if *task.Name == "bindInstancePublicIp" {
			return wait(client, instanceID, *task.Id)
		}
	}
	return nil, errors.New("there is no such task")
}

func createTopic(client *kafka.KafkaClient, instanceID string, c call) (any, error) {
	return client.CreateInstanceTopic(&model.CreateInstanceTopicRequest{
		InstanceId: instanceID,
		Body: &model.CreateInstanceTopicReq{
			Id: c.Topic, Partition: &c.Partitions, Replication: &c.Replicas, TopicDesc: &c.Description,
		},
	})
}

func reassign(client *kafka.KafkaClient, instanceID string, c call) (any, error) {
	asked, err := client.CreateKafkaReassignmentTask(&model.CreateKafkaReassignmentTaskRequest{
		InstanceId: instanceID,
		Body: &model.PartitionReassignRequest{
			Reassignments: []model.PartitionReassignEntity{{Topic: c.Topic, Brokers: &c.Brokers}},
		},
	})
	if err != nil {
		return nil, err
	}
	return wait(client, instanceID, *asked.JobId)
}

func answer(client *kafka.KafkaClient, instanceID string, c call) (any, error) {
	switch c.Op {
	case "show":
		return client.ShowBackgroundTask(
			&model.ShowBackgroundTaskRequest{InstanceId: instanceID, TaskId: c.TaskID})
	case "list":
		return list(client, instanceID, c)
	case "instances":
		return instances(client, c.Name)
	case "progress":
		return client.ShowBackgroundTaskProgress(
			&model.ShowBackgroundTaskProgressRequest{InstanceId: instanceID, TaskId: c.TaskID})
	case "delete":
		deleted, err := client.DeleteBackgroundTask(
			&model.DeleteBackgroundTaskRequest{InstanceId: instanceID, TaskId: c.TaskID})
		if err != nil {
			return nil, err
		}
		return map[string]int{"status": deleted.HttpStatusCode}, nil
	case "bind":
		return bind(client, instanceID, c)
	case "create_topic":
		return createTopic(client, instanceID, c)
	case "reassign":
		return reassign(client, instanceID, c)
	}
	return nil, fmt.Errorf("no such operation: %s", c.Op)
}

func seenOf(err error) *seen {
	var refused *sdkerr.ServiceResponseError
	if errors.As(err, &refused) {
		return &seen{
			fmt.Sprintf("%T", err), refused.StatusCode, refused.ErrorCode, refused.ErrorMessage, refused.RequestId,
		}
	}
	return &seen{Type: fmt.Sprintf("%T", err), Message: err.Error()}
}

func main() {
	var sessions []session
	if err := json.NewDecoder(os.Stdin).Decode(&sessions); err != nil {
		panic(err)
	}
	out := json.NewEncoder(os.Stdout)
	for _, s := range sessions {
		client := clientOf(s)
		for _, c := range s.Calls {
			printed := line{Label: c.Label}
			got, err := answer(client, s.InstanceID, c)
			if err != nil {
				printed.Error = seenOf(err)
			} else {
				printed.Answer = got
			}
			if err := out.Encode(printed); err != nil {
				panic(err)
			}
		}
	}
}
