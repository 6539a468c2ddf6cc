"""What can be set, from flags and environment. Read once, frozen."""

from pathlib import Path

import msgspec

from backroom.data_folder import (
    AUDIT_KEY_FILE,
    DATABASE_FILE,
    EMULATOR_FILE,
    KEY_FILE,
    LOCK_FILE,
    PASSWORD_FILE,
    SERVER_FILE,
    TLS_FOLDER,
    WORKER_FILE,
    default_data,
)
from backroom.domain.seed import Seed
from backroom.domain.task import QueueLimits
from backroom.domain.transition import TransitionPlan
from backroom.engine.cleaner import KEEP_MOST, RETENTION_DAYS
from backroom.platforms.simulated import Timings
from backroom.platforms.simulated_kafka import KafkaTimings
from backroom.service import LIMITS

REGION = "cn-north-4"

__all__ = [
    "AUDIT_KEY_FILE",
    "DATABASE_FILE",
    "EMULATOR_FILE",
    "KEY_FILE",
    "LOCK_FILE",
    "PASSWORD_FILE",
    "REGION",
    "SERVER_FILE",
    "TLS_FOLDER",
    "WORKER_FILE",
    "EmulatorSettings",
    "Settings",
    "default_data",
]


class EmulatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How an emulator starts. `is_open`: its controls are anybody's, for a server of one test."""

    is_open: bool = False
    clock_speed: float = 1.0
    is_frozen: bool = False
    transitions: TransitionPlan = TransitionPlan()
    seed: Seed | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """`database` is a URL; None means a SQLite file in `data`. `slots` tasks run at once.

    And an eighth more, of instances that had nothing to do.
    """

    data: Path
    database: str | None = None
    host: str = "127.0.0.1"
    port: int = 8443  # 0: any free one
    is_plain_http: bool = False
    role: str = "all"
    slots: int = 64
    is_empty: bool = False
    allows_generated_keys_anywhere: bool = False
    is_durable: bool = True
    region: str = REGION
    retention_days: int = RETENTION_DAYS  # after its end; 0: a record is kept for ever
    keep_most: int = KEEP_MOST  # ended tasks of one instance; 0: any number
    emulator: EmulatorSettings | None = None
    limits: QueueLimits = LIMITS
    rate_limit_per_s: float | None = None  # requests of one user in one project
    timings: Timings = Timings()
    kafka_timings: KafkaTimings = KafkaTimings()

    @property
    def scheme(self) -> str:
        return "http" if self.is_plain_http else "https"
