"""The documentation site: `make docs` builds it into build/docs, every warning an error."""

import sys
from datetime import date
from pathlib import Path

from leadlight import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "leadlight"
author = "the leadlight authors"
release = version = __version__
copyright = f"{date.today().year}, {author}"  # noqa: A001, DTZ011 - Sphinx's name; the year is enough

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "repository_links",
]
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb", ".ipynb": "myst-nb"}
templates_path = ["_templates"]
root_doc = "index"

html_theme = "furo"
html_title = "leadlight"
html_static_path = ["_static"]
html_css_files = ["leadlight.css"]

# Pages run when the site is built: what they show is what this version says. The notebooks in docs/notebooks have run already,
# where they stand in the repository: `make notebooks` writes them.
nb_execution_mode = "force"
nb_execution_excludepatterns = ["notebooks/*"]
nb_output_stderr = "remove"  # notices of other packages, with paths of the machine that built the site
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_merge_streams = True
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

# `Community` in a docstring is a name, and a link where there is a page for it.
default_role = "py:obj"
autodoc_typehints = "none"  # numpydoc sections say it in words
autodoc_member_order = "bysource"
autosummary_generate = True
autosummary_ignore_module_all = False
napoleon_numpy_docstring = True
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
