"""A seed of a hundred objects: what the budgets of the test kit are about."""

OBJECTS = {
    "keys": [{"access_key": f"AK{n}", "secret_key": "secret-key"} for n in range(5)],
    "instances": [
        {
            "name": f"kafka-{n}",
            "topics": [{"name": f"topic-{at}"} for at in range(4)],
            "tasks": [{"operation": "restartInstance", "ago_s": 100 - at} for at in range(4)],
        }
        for n in range(11)
    ],
}  # 5 + 11 * 9 = 104
