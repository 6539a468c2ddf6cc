import msgspec
from huaweicloudsdkkafka.v2 import AvailableZonesResp

from backroom.wire.available_zones import encode_available_zones


def test_each_zone_has_every_field_of_the_official_model_in_its_type():
    body = msgspec.json.decode(msgspec.json.encode(encode_available_zones("cn-north-4")))
    types = {"str": str, "bool": bool, "int": int}
    assert body["region_id"] == "cn-north-4"
    for zone in body["available_zones"]:
        names = AvailableZonesResp.attribute_map
        assert set(zone) == set(names.values())
        for name, kind in AvailableZonesResp.openapi_types.items():
            assert type(zone[names[name]]) is types[kind], name


def test_codes_are_the_region_with_a_letter_and_one_zone_is_the_default():
    zones = encode_available_zones("eu-west-101").available_zones
    assert [zone.code for zone in zones] == ["eu-west-101a", "eu-west-101b", "eu-west-101c"]
    assert [zone.id for zone in zones if zone.default_az] == ["backroom-az1"]
