import pytest

from backroom.api.routes import Route, RouteTable
from backroom.domain.errors import MethodNotAllowed, RouteNotFound


async def handler(_request):
    raise NotImplementedError


def table(*rows):
    return RouteTable(tuple(Route(method, template, "Any", handler) for method, template in rows))


def test_two_rows_for_one_call_are_a_mistake():
    with pytest.raises(ValueError, match="two routes for GET"):
        table(("GET", "/a/{x}"), ("GET", "/a/{x}"))


def test_a_literal_is_tried_before_a_parameter():
    routes = table(("GET", "/a/b"), ("GET", "/a/{x}"), ("GET", "/a/b/c"), ("GET", "/a/{x}/d"))
    for path, template, values in (
        (b"/a/b", "/a/b", {}),
        (b"/a/z", "/a/{x}", {"x": "z"}),
        (b"/a/b/c", "/a/b/c", {}),
        (b"/a/b/d", "/a/{x}/d", {"x": "b"}),
    ):
        route, parameters, is_well_formed = routes.find("GET", path)
        assert (route.template, parameters) == (template, values)
        assert is_well_formed == (not values)


def test_a_parameter_is_never_empty():
    with pytest.raises(RouteNotFound):
        table(("GET", "/a/{x}")).find("GET", b"/a/")


def test_a_known_path_says_its_methods():
    with pytest.raises(MethodNotAllowed) as caught:
        table(("PUT", "/a"), ("GET", "/a")).find("POST", b"/a")
    assert caught.value.allowed == ("GET", "PUT")
