# An instance, a topic on it, and what background task management has on the instance.

terraform {
  required_providers {
    huaweicloud = {
      source = "huaweicloud/huaweicloud"
    }
  }
}

variable "endpoint" {
  description = "Of the server: BACKROOM_ENDPOINT."
  type        = string
}

variable "region" {
  type    = string
  default = "cn-north-4"
}

provider "huaweicloud" {
  region   = var.region
  auth_url = "${var.endpoint}/v3"
  endpoints = {
    dms = "${var.endpoint}/"
    iam = "${var.endpoint}/"
  }
}

resource "huaweicloud_dms_kafka_instance" "made" {
  name               = "kafka-terraform"
  engine_version     = "2.7"
  flavor_id          = "c6.2u4g.cluster"
  storage_spec_code  = "dms.physical.storage.ultra.v2"
  storage_space      = 300
  broker_num         = 3
  vpc_id             = "1a28dcc5-c90d-421c-82bb-783f30f5b40a"
  network_id         = "ebba7994-260d-42ab-bce1-39a08b365dc8"
  security_group_id  = "0cc8fdb7-872a-49da-a062-88ccc39463b5"
  availability_zones = ["${var.region}a"]
}

resource "huaweicloud_dms_kafka_topic" "made" {
  instance_id = huaweicloud_dms_kafka_instance.made.id
  name        = "topic-terraform"
  partitions  = 3
  replicas    = 1
}

data "huaweicloud_dms_kafka_background_tasks" "made" {
  instance_id = huaweicloud_dms_kafka_instance.made.id
  depends_on  = [huaweicloud_dms_kafka_topic.made]
}

output "tasks" {
  value = data.huaweicloud_dms_kafka_background_tasks.made.tasks
}
