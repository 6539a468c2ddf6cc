"""Request bodies that several tests send."""

from typing import Any

CREATE_BODY = {
    "name": "kafka-test",
    "engine": "kafka",
    "engine_version": "2.7",
    "broker_num": 3,
    "storage_space": 300,
    "vpc_id": "1a28dcc5-c90d-421c-82bb-783f30f5b40a",
    "security_group_id": "0cc8fdb7-872a-49da-a062-88ccc39463b5",
    "subnet_id": "ebba7994-260d-42ab-bce1-39a08b365dc8",
    "available_zones": ["ae04cf9d61544df3806a3feeb401b204"],
    "product_id": "c6.2u4g.cluster",
    "storage_spec_code": "dms.physical.storage.ultra.v2",
}


def login_body(name: str, password: str, **scope: Any) -> dict[str, Any]:
    user = {"name": name, "password": password, "domain": {"name": "backroom"}}
    identity = {"methods": ["password"], "password": {"user": user}}
    return {"auth": {"identity": identity, "scope": scope or {"project": {"name": "cn-north-4"}}}}
