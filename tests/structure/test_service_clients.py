"""Each service module has its typed client in `clients.service_clients`, under the module's ATTRIBUTE."""

from typing import get_type_hints

from clients.service_clients import ServiceClients
from clients.services import modules


def test_every_service_module_has_a_typed_client() -> None:
    classes = {name: hint.__module__ for name, hint in get_type_hints(ServiceClients).items()}
    assert classes == {module.ATTRIBUTE: module.__name__ for module in modules()}
