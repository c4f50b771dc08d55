"""What a user, or a plan, may set of the shipped loads beside the generator's own settings. Imports no Locust."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from core.config import StrictModel, nearest
from core.errors import ConfigError

_Megabytes = Annotated[float, Field(gt=0, le=5_000)]


def _listed(value: object) -> object:
    return tuple(value.split(",")) if isinstance(value, str) else value


class LoadVariables(StrictModel):
    """Variables of the shipped loads, in the environment or in a plan's `variables`, where a plan's counts."""

    upload_mb: Annotated[tuple[_Megabytes, ...], BeforeValidator(_listed), Field(min_length=1)] = Field(
        default=(0.2, 0.2, 0.2, 6, 25, 100), alias="ASSAY_UPLOAD_MB"
    )
    """Sizes in megabytes, in turn, of the load `upload`."""
    rooms_storm: float = Field(default=60.0, ge=0, allow_inf_nan=False, alias="ASSAY_ROOMS_STORM")
    """Seconds between two reconnect storms of the load `rooms`; 0 for never."""

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The variables' names."""
        return tuple(str(field.alias) for field in cls.model_fields.values())

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> LoadVariables:
        """What these variables say; those of a load of one's own, which have other names, are that load's business.

        Raises ConfigError, which begins with the variable's name, for a value that cannot be used.
        """
        given: dict[str, Any] = {name: text for name in cls.names() if (text := variables.get(name))}
        try:
            return cls.model_validate_strings(given)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        why = first["msg"].removeprefix("Input ")
        raise ConfigError(f"{name} is '{given[name]}', and each value {why}; correct it.")


def refuse_wrong(variables: Mapping[str, str], *, own: bool = False) -> None:
    """Raises ConfigError, which begins with the variable's name, for one that no load reads or whose value is no use.

    A load of one's `own` may have further ones, whose names do not begin with ASSAY_.
    """
    known = LoadVariables.names()
    for name in variables:
        if name not in known and not (own and not name.startswith("ASSAY_")):
            raise ConfigError(f"{name} is no variable of this load; {nearest(name, known)}")
    LoadVariables.of(variables)
