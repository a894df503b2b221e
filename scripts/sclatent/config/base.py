"""What every section of the configuration is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

# Snakemake takes text in braces for a wildcard.
Title = Annotated[str, StringConstraints(pattern=r"^[^{}]+$")]
# Names become parts of paths and of wildcards.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class Section(BaseModel):
    """A part of the configuration: it refuses unknown keys, and its values cannot change.

    Defaults are validated like given values. So a default of 0 for a real number becomes 0.0, as if
    the user had written it.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True
    )
