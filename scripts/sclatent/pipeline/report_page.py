"""The page of results that Snakemake builds."""

import re

# What a page takes from results and configuration: JSON in scripts, each on a line of its own.
VALUES = re.compile(r'^ *var (workflow_desc|results|categories) = [{"].*;$', re.MULTILINE)


def without_markup(page: str) -> str:
    """Return a page of Snakemake with its values written so that no text in them, such as a title, can end its script."""
    return VALUES.sub(lambda line: line[0].replace("<", r"\u003c"), page)
