"""How Sphinx builds these pages: `sphinx-build -W -b html docs docs/_build`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # the folder figures
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import fpemu

project = "fpemu"
author = "the fpemu developers"
release = version = fpemu.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "sphinx_design",
    "api",
    "generated",
    "drawn",
]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
default_role = "code"
exclude_patterns = ["_build", "_ext", "figures"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc's sections have the types
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "furo"
html_title = f"fpemu {release}"
html_static_path = []

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
