"""The report as its readers open it, in a browser without a network; and the tables of its first
page.
"""

import html
import json
import re
import shutil

import h5py
import pandas as pd
import pytest
from docutils.core import publish_parts
from jinja2 import Environment
from small_study import LONG_TITLE, STUDIES

from sclatent.io.provenance import sha256_of
from sclatent.io.tables import read_table
from sclatent.report.benchmarks import costs_table
from sclatent.report.first_page import (
    Study,
    absences_table,
    as_rst,
    failures_table,
    files_table,
    labels_text,
    values_text,
    versions_table,
)
from sclatent.report.runs import all_runs

ORIGIN = {"sclatent": "0.1.0", "python": "3.11.7", "device": "cpu"}
PLAIN = {
    "normalization": "none",
    "target_sum": 1e4,
    "n_top_genes": None,
    "scale": None,
    "balance": None,
}


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium, without a window."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs the program chromium, which is not on the path")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--enable-unsafe-swiftshader"]
        )
        yield started
        started.close()


@pytest.fixture(params=[(1400, 900), (400, 800)], ids=["wide", "narrow"])
def page(request, browser, finished):
    """The report, opened from its file; it must come without errors and ask for nothing beyond
    itself.
    """
    width, height = request.param
    opened = browser.new_page(viewport={"width": width, "height": height})
    errors, asked = [], []
    opened.on(
        "console", lambda message: errors.append(message.text) if message.type == "error" else None
    )
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(finished.path("report.html").as_uri())
    opened.wait_for_selector("#rulegraph canvas, #rulegraph svg")
    yield opened
    opened.close()
    assert errors == []
    assert [
        url[:200] for url in asked if not url.startswith(("file:", "data:", "blob:", "about:"))
    ] == []


def menu(page) -> list[str]:
    """The entries of the menu that is shown."""
    return page.locator("nav ul a").all_inner_texts()


def choose(page, name: str) -> None:
    """Click on an entry of the menu, or of the path above it."""
    page.locator("nav ul a, nav nav a").filter(has_text=re.compile(f"^{re.escape(name)}$")).click()


def opened(page, row) -> str:
    """Open a result by its row in the menu and return what it is, once it is drawn."""
    button = row.locator("a").first
    if button.get_attribute("download") is not None:
        assert re.match(r"data:[a-z/-]+;.*;base64,.{100}", button.get_attribute("href"))
        return "file"
    button.click()
    content = page.locator("#app .grow.h-screen > div > img, #app .grow.h-screen > iframe")
    content.wait_for()
    if content.evaluate("element => element.tagName") == "IMG":
        assert (
            content.evaluate(
                "image => image.decode().then(() => image.naturalWidth * image.naturalHeight)"
            )
            > 0
        )
        return "image"
    frame = content.element_handle().content_frame()
    frame.wait_for_load_state("load")
    assert (
        frame.evaluate(
            "document.body.innerText.length + document.querySelectorAll('canvas, svg').length"
        )
        > 0
    )
    return "page"


@pytest.mark.browser
def test_every_result_opens_under_its_study(page, finished):
    seen = {}
    for category in menu(page)[3:]:
        choose(page, category)
        kinds = menu(page)
        for kind in kinds or [None]:
            if kind is not None:
                choose(page, kind)
            seen[category, kind] = [opened(page, row) for row in page.locator("nav tbody tr").all()]
            if kind is not None:
                choose(page, category)
        choose(page, "Results")
    first, second = (study["title"] for study in STUDIES.values())
    assert seen[first, "Headline"] == seen[second, "Headline"] == ["page"]
    assert seen[first, "Tables"] == seen[second, "Tables"] == ["file"] * 4
    assert seen["Configuration", None] == ["file"]
    figures = [
        path.suffix
        for path in finished.path("studies/small/figures").rglob("*")
        if path.suffix in (".svg", ".html")
    ]
    assert (
        sorted(seen[first, "Figures"])
        == sorted("image" if suffix == ".svg" else "page" for suffix in figures)
        != []
    )


@pytest.mark.browser
def test_the_first_page_says_what_came_out_of_what_and_what_failed(page, finished):
    text = page.locator("#app .prose").inner_text()
    headings = page.locator("#app .prose h2").all_inner_texts()
    assert headings[:4] == ["Headline", "What failed", "Data", "Models"]
    for words in (
        *(study["title"] for study in STUDIES.values()),
        LONG_TITLE,
        "3 of 9 trainings failed",
        "Dots\t400\t16\t5",
    ):
        assert words in text
    failed = read_table(finished.path("studies/small/runs.tsv"), "runs").set_index("status")
    assert all(reason in text for reason in failed.loc["failed", "reason"])
    scores = finished.path("studies/small/headline.txt").read_text()
    assert re.search(r"VAE +(\S+)", scores)[1] in text


@pytest.mark.browser
def test_the_page_does_not_scroll_sideways_but_for_wide_tables(page):
    page.wait_for_timeout(300)
    scrolled = page.evaluate(
        """() => [
            document.documentElement,
            ...document.querySelectorAll('#app > .flex, #app .grow.h-screen, #app .prose'),
        ]
        .filter(element => element.scrollWidth > element.clientWidth)
        .map(element => element.className)"""
    )
    assert scrolled == []
    assert page.locator("#app .prose .wide").evaluate_all(
        "all => all.some(one => one.scrollWidth > one.clientWidth)"
    )
    assert (
        page.locator("#app .prose h2").first.evaluate(
            "heading => heading.getBoundingClientRect().top"
        )
        > 0
    )


def test_the_report_is_of_a_size_to_send(finished):
    assert finished.path("report.html").stat().st_size < 30e6


def test_the_first_page_comes_from_results_alone(finished):
    origin = finished.path("overview.rst").read_text().split("\n\n")[0].removeprefix(".. ")
    read = json.loads(origin)["inputs"]
    assert read == {path: sha256_of(finished.folder / path) for path in read}
    jobs = {
        path.removeprefix("results/benchmarks/")
        for path in read
        if path.startswith("results/benchmarks/")
    }
    later = {"report.tsv", "overview.tsv", "configuration.tsv"}
    made = {
        str(path.relative_to(finished.path("benchmarks")))
        for path in finished.path("benchmarks").rglob("*.tsv")
    }
    assert jobs == {job for job in made - later if not job.startswith("export_")}


def rendered(page: str) -> str:
    """A first page as Snakemake makes HTML of it."""
    text = Environment(trim_blocks=True, lstrip_blocks=True).from_string(page).render()
    return publish_parts(text, writer="html")["html_body"]


def test_texts_of_results_stand_on_the_page_as_they_are():
    table = pd.DataFrame({"model": [LONG_TITLE, "|a|_ `b` {% c %} {{ d }}"]})
    page = rendered(as_rst({"A & B": [table, "<p>text</p>"]}, "Read *this*.\n", "{}"))
    assert "system-message" not in page
    assert "<em>this</em>" in page
    assert "<h2>A &amp; B</h2>" in page
    assert [html.unescape(cell) for cell in re.findall("<td>(.*)</td>", page)] == [
        LONG_TITLE,
        "|a|_ `b` {% c %} {{ d }}",
    ]
    assert page.count('<div class="wide"><table') == 1


def test_the_provenance_of_many_results_does_not_spoil_the_page():
    origin = json.dumps({"inputs": {f"results/{i}.tsv": "0" * 64 for i in range(1000)}})
    page = as_rst({"A": ["<p>text</p>"]}, "Read *this*.", origin)
    assert "system-message" not in rendered(page)
    assert json.loads(page.split("\n\n")[0].removeprefix(".. ")) == json.loads(origin)


def test_a_run_that_failed_in_any_study_has_failed():
    keys = {"dataset": "d", "model": "m", "seed": [0, 1]}
    predicted = pd.DataFrame({**keys, "status": "trained", "reason": None})
    clustered = pd.DataFrame(
        {**keys, "status": ["trained", "failed"], "reason": [None, "the model collapsed"]}
    )
    for tables in ([predicted, clustered], [clustered, predicted]):
        runs = all_runs(tables).set_index("seed")
        assert runs["status"].to_dict() == {0: "trained", 1: "failed"}
        assert runs.loc[1, "reason"] == "the model collapsed"


def test_costs_are_summed_and_compared_over_the_jobs_of_a_rule(tmp_path):
    measured = {"train/d/m/0": (100, 50.0), "train/d/m/1": (30.26, 250), "fetch/a/b.gz": (0.5, "-")}
    paths = []
    for job, (seconds, memory) in measured.items():
        path = tmp_path / "benchmarks" / f"{job}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:00\t{memory}\n")
        paths.append(str(path))
    rules = ["train", "train", "fetch"]
    assert costs_table(rules, paths).to_numpy().tolist() == [
        ["train", "2", "130", "100", "250"],
        ["fetch", "1", "0.5", "0.5", "–"],
        ["all", "3", "131", "100", "250"],
    ]


def test_source_files_are_named_with_their_checksums_as_read(tmp_path):
    sources = {"own": {"data/a.mtx": "12", "data/b.tsv": "34"}, "drawn": {}}
    paths = {name: str(tmp_path / f"{name}.h5ad") for name in sources}
    for name, inputs in sources.items():
        with h5py.File(paths[name], "w") as file:
            file["uns/provenance"] = json.dumps({"inputs": inputs})
    rows = files_table(paths, {"own": "Own", "drawn": "Drawn"}).to_numpy().tolist()
    assert rows == [
        ["Own", "data/a.mtx", "12"],
        ["Own", "data/b.tsv", "34"],
        ["Drawn", "none: drawn from its settings", "–"],
    ]


def test_versions_that_differ_are_both_named():
    origins = [
        {**ORIGIN, "packages": {"numpy": version}} for version in ("2.4.6", "2.4.5", "2.4.6")
    ]
    table = versions_table(origins).set_index("software")["version"].to_dict()
    assert table == {"sclatent": "0.1.0", "Python": "3.11.7", "numpy": "2.4.5, 2.4.6"}


def test_failures_are_named_by_titles_and_counted_never_dropped():
    runs = pd.DataFrame(
        [("d", "m", 0, "trained", None), ("d", "m", 1, "failed", "loss is nan")],
        columns=["dataset", "model", "seed", "status", "reason"],
    )
    assert failures_table(runs, {"d": "Data"}, {"m": "Model"}).to_numpy().tolist() == [
        ["Data", "Model", "1", "loss is nan"]
    ]
    assert failures_table(runs[:1], {"d": "Data"}, {"m": "Model"}).empty


def test_what_is_absent_is_counted_by_evaluation():
    absent = pd.DataFrame({"evaluation": ["clustering", "generation", "clustering"]})
    studies = [Study("s", "S", 3, {}, absent), Study("t", "T", 3, {}, absent[:0])]
    rows = absences_table(studies).to_numpy().tolist()
    path = "results/studies/s/absent.tsv"
    assert rows == [["S", "clustering", "2", path], ["S", "generation", "1", path]]


def test_settings_are_put_in_words():
    assert values_text(PLAIN) == "as they are"
    log = {
        "normalization": "log",
        "n_top_genes": 2000,
        "scale": {"max_value": 10},
        "balance": {"by": "louvain"},
    }
    words = (
        "log(1 + counts per 10,000), 2,000 most variable genes, scaled, trained on groups "
        "balanced by louvain"
    )
    assert values_text(PLAIN | log) == words
    half = {"labels": "cell_type", "share": 0.5, "dataset": None}
    other = {"labels": "louvain", "share": 1, "dataset": "few"}
    assert labels_text(None, None) == "nothing"
    assert labels_text("condition", half) == "condition, cell_type of 50 % of the cells"
    assert labels_text(None, half | {"share": 0.002}) == "cell_type of 0.2 % of the cells"
    assert labels_text(None, other) == "Louvain clusters of 100 % of the cells in few"
