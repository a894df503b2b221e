"""A stand-in for the object `snakemake`, so that a script can be run and debugged alone.

    python scripts/train.py dataset=digits model=ae seed=0

runs the script's main with the inputs, outputs and parameters that the rule has for these
wildcards. Call it from the project's folder. An argument that ends in .yaml is a configuration
file. Inputs must exist. Outputs are written where the workflow would write them.

This is the only file that may use private names of Snakemake: no public one gives a single job.
"""

from pathlib import Path
from types import SimpleNamespace

from snakemake.api import ConfigSettings, ResourceSettings, SnakemakeApi
from snakemake.dag import DAG
from snakemake.io import apply_wildcards
from snakemake.jobs import Job

from sclatent.common.errors import UserError


def stand_in(script: str, arguments: list[str]) -> SimpleNamespace:
    """Return what a job of a script's rule would have as `snakemake`.

    Parameters
    ----------
    script
        Name of the script, which is that of its rule.
    arguments
        Wildcards as "name=value", and paths of configuration files.

    Returns
    -------
    SimpleNamespace
        Its resources offer a GPU, which is used if the machine has one.

    Raises
    ------
    UserError
        If the rule has no such job.
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
                f"rule {script} has other wildcards; call it as: "
                f"python scripts/{script}.py {needed}"
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
