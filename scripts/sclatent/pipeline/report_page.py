"""The page of results that Snakemake builds, without markup that names could bring into it."""

import re

# The lines of Snakemake's page that hold values of results and of the configuration, as JSON in a
# script.
VALUES = re.compile(r'^ *var (workflow_desc|results|categories) = [{"].*;$', re.MULTILINE)


def without_markup(page: str) -> str:
    r"""Return a page of Snakemake in which no name can end a script and begin another one.

    Snakemake writes titles and parameters into scripts of the page as JSON, in which "</script>" is
    an ordinary text. A browser takes it for the end of the script and runs what follows. "<" is
    therefore written as "\u003c", which is the same text in JSON. A test fails when Snakemake does
    this itself; then this module can go.

    Parameters
    ----------
    page
        HTML from `snakemake --report`.
    """
    return VALUES.sub(lambda line: line[0].replace("<", r"\u003c"), page)
