"""What the page carries with it: style, script, and Plotly in a tenth of a second's packing."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Callable
from importlib import resources
from typing import Any

# in this order; later files use what earlier ones define
SCRIPTS = (
    "core",
    "plot",
    "files",
    "table",
    "pair",
    "matrix",
    "charts",
    "plane",
    "spread",
    "tree",
    "maps",
    "standins",
    "exhibit",
    "tabs",
    "main",
)
STYLES = ("base", "layout", "figures", "tables", "narrow", "print")


def script() -> str:
    """Return the page's own script: one scope, the files of `js/` in order."""
    body = "\n".join(_read(f"js/{name}.js") for name in SCRIPTS)
    return f'"use strict";\n(function () {{\n{body}\n}})();'


def style() -> str:
    """Return the page's style sheet."""
    return "\n".join(_read(f"css/{name}.css") for name in STYLES)


def plotly_js() -> str:
    """Return the library that draws; raises ImportError where it is missing."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ImportError("a report needs plotly: pip install 'consilience[report]'") from error
    # the parser turns every line end into \n before the policy's digest is checked
    return str(get_plotlyjs()).replace("\r\n", "\n").replace("\r", "\n")


def packed(text: str) -> str:
    """Return text as gzip in base64, which a browser unpacks by itself (4.8 MB in 2.0 MB)."""
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def policy(*scripts: str) -> str:
    """Return a content security policy that runs these scripts alone and loads nothing."""
    digests = (hashlib.sha256(one.encode()).digest() for one in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(one).decode()}'" for one in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def templates(**helpers: Callable[..., Any]) -> Any:
    """Return the jinja2 environment of `templates/`; raises ImportError without jinja2."""
    try:
        import jinja2
    except ImportError as error:
        raise ImportError("a report needs jinja2: pip install 'consilience[report]'") from error
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(lambda name: _read(f"templates/{name}")),
    )
    # the order of a table's columns and of a legend is part of what they say
    environment.policies["json.dumps_kwargs"] = {
        "sort_keys": False,
        "ensure_ascii": False,
        "separators": (",", ":"),
        "allow_nan": False,
    }
    environment.globals.update(helpers)
    return environment


def _read(name: str) -> str:
    return resources.files("consilience.report").joinpath(name).read_text(encoding="utf-8")
