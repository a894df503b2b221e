"""What every section of the configuration is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

# Names become parts of paths and of wildcards.
Title = Annotated[
    str, StringConstraints(pattern=r"^[^{}]+$")
]  # in braces Snakemake would look for wildcards
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused, values cannot change once read.

    Defaults are checked like what is given, so that 0 for a real number is the same whether it was written or left out.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True
    )
