"""A stand-in for the `snakemake` object, so that a script can be run and debugged alone.

    python scripts/train.py dataset=digits model=ae seed=0

run from the project's folder, calls the script's main with the inputs, outputs and parameters that the rule has for these
wildcards; an argument that ends in .yaml is a configuration file. Inputs must exist; outputs are written where the workflow
would write them.
"""

from pathlib import Path
from types import SimpleNamespace

from snakemake.api import ConfigSettings, ResourceSettings, SnakemakeApi
from snakemake.dag import DAG
from snakemake.io import apply_wildcards
from snakemake.jobs import Job

from sclatent.common.errors import UserError


def stand_in(script: str, arguments: list[str]) -> SimpleNamespace:
    """Return what a job of the script's rule would have as `snakemake`, for wildcards given as "name=value".

    Raises UserError where the rule has no such job. A GPU is offered, if there is one.
    """
    files = [Path(argument) for argument in arguments if argument.endswith(".yaml")]
    wildcards = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    with SnakemakeApi() as api:
        settings = {
            "config_settings": ConfigSettings(configfiles=files),
            "snakefile": Path("Snakefile"),
        }
        workflow = api.workflow(ResourceSettings(cores=1), **settings).dag().workflow_api._workflow
        rule = workflow.get_rule(script)
        if set(wildcards) != rule.wildcard_names:
            needed = " ".join(f"{name}=..." for name in sorted(rule.wildcard_names))
            raise UserError(
                f"rule {script} has other wildcards; call it as: python scripts/{script}.py {needed}"
            )
        output = apply_wildcards(str(rule.output[0]), wildcards)
        if not rule.is_producer(output):
            raise UserError(
                f"rule {script} makes no {output}; give names that the configuration has"
            )
        job = Job(rule, DAG(workflow, rules=[]), wildcards_dict=wildcards)
        return SimpleNamespace(
            rule=script,
            input=job.input,
            output=job.output,
            params=job.params,
            wildcards=job.wildcards,
            log=job.log,
            threads=1,
            resources={"gpu": 1},
            config=workflow.globals["config"],
        )
