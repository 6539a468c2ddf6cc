"""ListAvailableZones (contract: docs/wire/instances.md)."""

from collections.abc import Sequence

import msgspec

ZONES = ("backroom-az1", "backroom-az2", "backroom-az3")  # the first is that of the first start
_REMAIN_FOR_EVER = 9_223_372_036_854_775_807  # [D] the page's example, before it was rounded


class AvailableZoneBody(msgspec.Struct, frozen=True):
    id: str
    code: str  # [O] what Terraform's `availability_zones` name
    name: str
    default_az: bool
    port: str = "8003"  # [D] example; leads nowhere here
    resource_availability: str = "true"
    soldOut: bool = False  # noqa: N815  the wire's own spelling [D]
    remain_time: int = _REMAIN_FOR_EVER
    ipv6_enable: bool = False


class AvailableZonesBody(msgspec.Struct, frozen=True):
    region_id: str
    available_zones: Sequence[AvailableZoneBody]


def encode_available_zones(region: str) -> AvailableZonesBody:
    """Three zones, coded as the cloud does: `cn-north-4a`, `cn-north-4b`, `cn-north-4c`."""
    zones = [
        AvailableZoneBody(zone, f"{region}{letter}", zone, zone == ZONES[0])
        for zone, letter in zip(ZONES, "abc", strict=True)
    ]
    return AvailableZonesBody(region, zones)
