"""The sizes of machine on offer: what a product id allows, and what it is shown with."""

from collections.abc import Mapping
from typing import Final

import msgspec


class Flavor(msgspec.Struct, frozen=True):
    brokers_min: int
    brokers_max: int
    partitions_per_broker: int
    storage_per_broker_max_gb: int


# [D] cluster_kafka_instances.rst, single-node_kafka_instances.rst; the family before the first
# dot (c6, s6, ...) is the machine's and says nothing about the limits
FLAVORS: Final[Mapping[str, Flavor]] = {
    "2u4g.single.small": Flavor(1, 1, 100, 10_000),
    "2u4g.single": Flavor(1, 1, 250, 10_000),
    "2u4g.cluster.small": Flavor(3, 30, 100, 10_000),
    "2u4g.cluster": Flavor(3, 30, 250, 10_000),
    "4u8g.cluster": Flavor(3, 30, 500, 20_000),
    "8u16g.cluster": Flavor(3, 50, 1_000, 30_000),
    "12u24g.cluster": Flavor(3, 50, 1_500, 30_000),
    "16u32g.cluster": Flavor(3, 50, 2_000, 30_000),
}


def flavor_of(product_id: str) -> Flavor | None:
    """None for a product that isn't on offer."""
    return FLAVORS.get(product_id.partition(".")[2])
