"""The README and the documentation: length, links, examples and the order of the pages."""

import re
from copy import deepcopy
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from helpers import PROJECT
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin
from snakemake.utils import update_config

from sclatent.config.load import load

DOCS = PROJECT / "docs"
# Folders that hold results, builds or environments, not documents of the project.
NOT_OURS = {"results", "data", "_build", "_api"}
PAGES = sorted(
    path
    for path in PROJECT.rglob("*.md")
    if not any(part in NOT_OURS or part.startswith(".") for part in path.relative_to(PROJECT).parts)
)
TOCTREE = r"^```\{toctree\}\n(.*?)^```"
# Pages that `make reference` writes have tables and long lines of descriptions.
WRITTEN = [
    path
    for path in PAGES
    if path.is_relative_to(DOCS) or path.name in {"README.md", "CONTRIBUTING.md"}
    if path.parent.name not in {"config", "schemas"}
]
YAML = r"^```yaml\n(.*?)^```"
EXAMPLES = re.findall(YAML, (DOCS / "configuration.md").read_text(), re.MULTILINE | re.DOTALL)


def named(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def tokens_of(page: Path) -> list:
    """The block and inline tokens of a page, headings with the anchors that forges give them."""
    parser = MarkdownIt("commonmark").enable("table").use(anchors_plugin, max_level=6)
    blocks = parser.parse(page.read_text())
    return [*blocks, *(token for block in blocks for token in block.children or [])]


def targets_of(page: Path) -> list[str]:
    """Targets of the links and images of a page."""
    attributes = {"link_open": "href", "image": "src"}
    return [
        str(token.attrs[attributes[token.type]])
        for token in tokens_of(page)
        if token.type in attributes
    ]


def anchors_of(page: Path) -> set[str]:
    return {str(token.attrs["id"]) for token in tokens_of(page) if token.type == "heading_open"}


def section_of(page: Path, heading: str) -> str:
    """The text of a section with a heading of the second level."""
    return re.split(r"^## ", page.read_text().split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]


def test_pages_are_found():
    assert {"README.md", "CONTRIBUTING.md", "docs/index.md"} <= set(map(named, PAGES))
    assert len(PAGES) > 20


def test_the_readme_is_a_page():
    assert len((PROJECT / "README.md").read_text().splitlines()) <= 120


@pytest.mark.parametrize("page", WRITTEN, ids=named)
def test_lines_have_at_most_100_columns(page):
    lines = page.read_text().splitlines()
    assert [line for line in lines if len(line) > 100 and not line.startswith("|")] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page):
    broken = []
    for target in targets_of(page):
        parts = urlsplit(target)
        if parts.scheme:
            continue
        file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        has_anchor = not parts.fragment or parts.fragment in anchors_of(file)
        if not file.is_relative_to(PROJECT.resolve()) or not file.exists() or not has_anchor:
            broken.append(target)
    assert broken == []


def test_every_page_of_the_documentation_is_in_its_contents():
    reached, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        for contents in re.findall(TOCTREE, page.read_text(), re.MULTILINE | re.DOTALL):
            names = [line for line in contents.split("\n") if line and not line.startswith(":")]
            waiting += [page.parent / f"{name}.md" for name in names]
    assert reached == {page for page in PAGES if page.is_relative_to(DOCS)}


def test_the_readme_repeats_results_as_the_documentation_has_them():
    readme = (PROJECT / "README.md").read_text()
    tables = (DOCS / "quickstart.md").read_text() + (DOCS / "reference-works.md").read_text()
    rows = [line for line in readme.splitlines() if re.match(r"\|.*\d\.\d\d\d", line)]
    assert len(rows) == 8
    assert [row for row in rows if row not in tables.splitlines()] == []


def test_the_example_of_the_readme_is_the_tested_one():
    """The workflow's tests run the example of your-data.md."""
    (example,) = re.findall(
        YAML,
        section_of(PROJECT / "README.md", "Your own data"),
        re.MULTILINE | re.DOTALL,
    )
    assert len(example.splitlines()) <= 12
    tested = re.sub(
        r"^    ", "", section_of(DOCS / "your-data.md", "Use your own data"), flags=re.MULTILINE
    )
    assert example in tested


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_configuration_are_valid(example, raw_config):
    config = deepcopy(raw_config)
    update_config(config, yaml.safe_load(example))
    assert load(config).run == ["mine"]
