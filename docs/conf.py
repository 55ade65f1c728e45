"""Settings of Sphinx, for `make docs`."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

from airflow_provider_dify import __version__

# Importing Airflow creates its configuration. Use a temporary home, so that nothing is left behind and no local setting
# shows up in the pages.
for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[name]
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-home-")
logging.getLogger("airflow").setLevel(logging.WARNING)  # what it logs while it creates its configuration
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "airflow-provider-dify"
author = "the authors of airflow-provider-dify"
project_copyright = "the authors of airflow-provider-dify, Apache-2.0"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "methods", "parameters"]
exclude_patterns = ["_build", "benchmarks/results.md"]
nitpicky = True
nitpick_ignore_regex = [
    # Nothing is downloaded during the build, so names of other packages have no target.
    (r"py:.*", r"(?!airflow_provider_dify|Dify).*"),
    (r"py:.*", r"airflow_provider_dify\.(sources|files)\.\w+Source"),
    (r"py:class", r"airflow_provider_dify\.knowledge\.report\._\w"),  # type variables
    # The parts of the hook; its page shows all of them as one class.
    (
        r"py:.*",
        r"airflow_provider_dify\.(hooks\.(base|documents|selecting|deleting|ingest|metadata|retrieval)|transport)\..*",
    ),
]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
add_module_names = False

html_theme = "furo"
html_title = f"airflow-provider-dify {__version__}"
html_static_path = ["_static"]
html_logo = html_favicon = "images/logo.svg"
html_css_files = ["own.css"]
html_js_files = ["copy.js"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1d4fd8", "color-brand-content": "#1d4fd8"},
    "dark_css_variables": {"color-brand-primary": "#8ab4ff", "color-brand-content": "#8ab4ff"},
}
