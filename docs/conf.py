"""Settings of Sphinx; `make docs` builds the pages into docs/_build/html."""

import sys
from pathlib import Path

from pydantic import BaseModel

PROJECT = Path(__file__).parents[1]
sys.path.insert(0, str(PROJECT / "scripts"))

from sclatent import __version__  # noqa: E402 - found by the path above

project = "sclatent"
author = "The sclatent developers"
project_copyright = author
release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

# Links to headings, as in `scores.md#clusters`, work in the build as they do on the forge.
myst_heading_anchors = 3

# Docstrings write code between single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "exclude-members": "model_config"}
napoleon_google_docstring = False
napoleon_custom_sections = ["Source"]
add_module_names = False

html_theme = "furo"
html_title = f"sclatent {release}"
html_static_path = ["_static"]
html_css_files = ["wide.css"]


def without_fields(app, what, name, obj, options, signature, returned):
    """Leave out the fields of pydantic classes, which are in the configuration reference."""
    if what == "class" and issubclass(obj, BaseModel):
        return "", None
    return None


def setup(app):
    """Connect the function above with autodoc."""
    app.connect("autodoc-process-signature", without_fields)
