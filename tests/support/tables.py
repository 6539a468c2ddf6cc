"""The routes alone, with nothing behind them."""

from inspect import Parameter, signature
from typing import get_type_hints

from backroom.api.emulator import EmulatorHandlers, emulator_routes
from backroom.api.routes import Route
from backroom.api.table import route_table


def bare_routes() -> tuple[Route, ...]:
    """Handlers of every kind that the table asks for, none of which has anything to work with."""
    kinds = get_type_hints(route_table)
    handlers = {
        name: kinds[name].__new__(kinds[name])
        for name, parameter in signature(route_table).parameters.items()
        if parameter.default is Parameter.empty
    }
    controls = emulator_routes(EmulatorHandlers.__new__(EmulatorHandlers), is_open=True)
    return route_table(**handlers, more=controls).routes
