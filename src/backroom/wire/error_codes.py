"""The official error codes we answer with, their status, and their text in both languages.

Codes, statuses and English texts: the vendor's published lists (docs/wire/error-codes.md). The
Chinese texts are ours. `{}` is filled with what helps: a parameter, a reason.
"""

from enum import Enum, unique

import msgspec


class Text(msgspec.Struct, frozen=True):
    status: int
    code: str
    english: str
    chinese: str


@unique
class ErrorCode(Enum):
    INVALID_PROJECT_ID = Text(
        400, "DMS.00400002", "The project ID format is invalid.", "项目ID格式无效。"
    )
    EMPTY_BODY = Text(400, "DMS.00400004", "The request body is empty.", "请求体为空。")
    INVALID_JSON = Text(
        400,
        "DMS.00400005",
        "The message body is not in JSON format or contains invalid characters. {}",
        "请求体不是JSON格式或含有非法字符。{}",
    )
    UNSUPPORTED_ENGINE = Text(400, "DMS.00400007", "Unsupported type. {}", "不支持的类型。{}")
    UNSUPPORTED_VERSION = Text(400, "DMS.00400008", "Unsupported version. {}", "不支持的版本。{}")
    INVALID_PRODUCT = Text(400, "DMS.00400009", "Invalid product_id. {}", "product_id无效。{}")
    INVALID_NAME = Text(
        400,
        "DMS.00400010",
        "Invalid instance name. The name must be 4 to 64 characters long. Only letters, digits, "
        "underscores (_), and hyphens (-) are allowed.",
        "实例名称无效。名称长度为4到64个字符，只能包含字母、数字、下划线和中划线。",
    )
    INVALID_DESCRIPTION = Text(
        400,
        "DMS.00400011",
        "The instance description can contain a maximum of 1024 characters.",
        "实例描述最多1024个字符。",
    )
    INVALID_PASSWORD = Text(
        400,
        "DMS.00400019",
        "The password does not meet the complexity requirements. {}",
        "密码不满足复杂度要求。{}",
    )
    INVALID_ACCESS_USER = Text(
        400,
        "DMS.00400015",
        "Invalid username. A username must be 4 to 64 characters long and consist of only letters, "
        "digits, and hyphens (-).",
        "用户名无效。用户名长度为4到64个字符，只能包含字母、数字和中划线。",
    )
    TASK_IN_FLIGHT = Text(
        400,
        "DMS.00400017",
        "This DMS instance job task is still running.",
        "该实例的任务仍在执行中。",
    )
    INSTANCE_NOT_READY = Text(
        400,
        "DMS.00400026",
        "This operation is not allowed due to the instance status. {}",
        "实例当前状态不允许该操作。{}",
    )
    INVALID_INSTANCE_ID = Text(
        400,
        "DMS.00400030",
        "Invalid DMS instance id. The id must be a uuid.",
        "实例ID无效，必须是uuid。",
    )
    QUOTA_REACHED = Text(
        400, "DMS.00400039", "The quota limit has been reached. {}", "配额已达上限。{}"
    )
    NAME_TAKEN = Text(
        400, "DMS.00400060", "This instance name already exists.", "该实例名称已存在。"
    )
    INVALID_PARAMETER = Text(
        400, "DMS.00400062", "Invalid {} parameter in the request.", "请求参数{}无效。"
    )
    INVALID_CONFIG = Text(
        400, "DMS.00400063", "Invalid configuration parameter {}", "配置参数无效：{}"
    )
    INVALID_ACTION = Text(
        400,
        "DMS.00400064",
        "The action parameter in the request must be delete or restart.",
        "请求参数action必须为delete或restart。",
    )
    NO_INSTANCES = Text(
        400,
        "DMS.00400065",
        "The instances parameter in the request is empty.",
        "请求参数instances为空。",
    )
    INVALID_TASK_ID = Text(400, "DMS.00400070", "Invalid task ID format.", "任务ID格式无效。")
    INVALID_TOPIC_NAME = Text(  # the list's text goes on with an older rule
        400, "DMS.00400101", "The name of a Kafka topic must be {}", "Topic名称须为{}"
    )
    INVALID_PARTITION_COUNT = Text(
        400,
        "DMS.00400102",
        "The number of partitions created for a Kafka topic must be within the range of 1-200. {}",
        "Topic的分区数必须在1到200之间。{}",
    )
    INVALID_REPLICA_COUNT = Text(
        400,
        "DMS.00400103",
        "The number of replicas created for a Kafka topic must be within the range of 1-20.",
        "Topic的副本数必须在1到20之间。",
    )
    INVALID_RETENTION_TIME = Text(  # the list's text goes on with an older range
        400,
        "DMS.00400105",
        "The message retention period of a Kafka topic must be within the range of {}",
        "Topic的消息老化时间必须在以下范围内：{}",
    )
    INSTANCE_REPEATED = Text(400, "DMS.00400082", "Instance id is repeated.", "实例ID重复。")
    TOO_MANY_INSTANCES = Text(
        400,
        "DMS.00400100",
        "The instances array can contain a maximum of 50 instance IDs.",
        "instances最多包含50个实例ID。",
    )
    INVALID_MAINTENANCE_WINDOW = Text(
        400, "DMS.00400106", "Invalid maintenance time window. {}", "维护时间窗无效。{}"
    )
    EXPANSION_LIMIT = Text(
        400,
        "DMS.00400124",
        "The maximum number of disk expansion times has been reached.",
        "磁盘扩容次数已达上限。",
    )
    INVALID_PUBLIC_ACCESS = Text(
        400, "DMS.00400128", "Invalid public access parameters. {}", "公网访问参数无效。{}"
    )
    INVALID_STORAGE = Text(400, "DMS.00400500", "Invalid disk space. {}", "磁盘空间无效。{}")
    NOT_POSSIBLE = Text(
        400,
        "DMS.00400800",
        "Invalid request parameter. Check the request parameter. {}",
        "请求参数无效，请检查。{}",
    )
    TOO_MANY_REPLICAS = Text(
        400,
        "DMS.00400861",
        "Replication factor larger than available brokers. {}",
        "副本数大于可用代理数。{}",
    )
    TOPIC_NOT_FOUND = Text(400, "DMS.00400876", "The topic does not exist.", "该Topic不存在。")
    PARTITIONS_MOVING = Text(400, "DMS.00500980", "Partition reassigning. {}", "分区平衡中。{}")
    INSUFFICIENT_DISK = Text(
        400, "DMS.00500982", "Insufficient broker disk. {}", "代理磁盘空间不足。{}"
    )
    TOPIC_EXISTS = Text(400, "DMS.40050005", "Requested topic already exists.", "该Topic已存在。")
    PARTITIONS_EXHAUSTED = Text(
        400,
        "DMS.111400860",
        "Instance partition is not enough. Total partition is over the partition limitation. {}",
        "实例分区数不足，总分区数超过上限。{}",
    )
    INVALID_OFFSET = Text(
        400, "DMS.40050010", "Offset parameter is invalid. {}", "offset参数无效。{}"
    )
    PROJECT_MISMATCH = Text(
        401,
        "DMS.10240104",
        "The project ID and token do not match.",
        "项目ID与身份凭证不匹配。",
    )
    UNAUTHENTICATED = Text(
        401,
        "APIGW.0301",
        "Incorrect IAM authentication information: {}",
        "IAM认证信息错误：{}",
    )
    READ_ONLY = Text(
        403,
        "DMS.00403002",
        "A tenant has the read-only permission and cannot perform operations on DMS.",
        "只读权限，不能对DMS执行操作。",
    )
    ROLE_FORBIDS = Text(
        403,
        "DMS.00403003",
        "This role does not have the permissions to perform this operation.",
        "该角色没有执行此操作的权限。",
    )
    NOT_FOUND = Text(
        404, "DMS.00404001", "The requested URL does not exist. {}", "请求的URL不存在。{}"
    )
    INSTANCE_NOT_FOUND = Text(
        404, "DMS.00404022", "This instance does not exist.", "该实例不存在。"
    )
    METHOD_NOT_ALLOWED = Text(
        405,
        "DMS.00405001",
        "This request method is not allowed. {}",
        "不允许该请求方法。{}",
    )
    BODY_TOO_LARGE = Text(413, "APIGW.0201", "Request entity too large. {}", "请求体过大。{}")
    HEADERS_TOO_LARGE = Text(494, "APIGW.0201", "Request headers too large. {}", "请求头过大。{}")
    INTERNAL = Text(500, "DMS.00500000", "Internal service error.", "服务内部错误。")
    THROTTLED = Text(
        429, "APIGW.0308", "The throttling threshold has been reached.", "请求超过流控阈值。"
    )
    BUSY = Text(
        503, "DMS.111501025", "Query Busy. Please try again later.", "查询繁忙，请稍后重试。"
    )
    STORE_AWAY = Text(503, "DMS.00500000", "Internal service error.", "服务内部错误。")
