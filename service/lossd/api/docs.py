"""Serves /docs: Swagger UI with every asset from an installed package, so that it needs no network."""

from __future__ import annotations

import base64
import re
from functools import cache
from hashlib import sha256
from importlib.resources import files

import orjson
from fastapi import APIRouter, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from lossd.api.resource import Resource, resource, sent

READ = ["GET", "HEAD"]
_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)
ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}

# Relative addresses hold behind a proxy that serves lossd under a path.
PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<style>{style}</style>
<script>{theme}</script>
</head>
<body>
<nav aria-label="Pages">\
<a href="./">lossd</a> <a href="./#catalogue">Losses</a> <a href="try">Try</a> <a href="compare">Compare</a></nav>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script>{plugin}
  SwaggerUIBundle({{url: "openapi.json", dom_id: "#swagger-ui", plugins: [accessible], ...{parameters}}})
</script>
</body>
</html>
"""

# Swagger UI has dark colours and nothing in its page that turns them on: the theme that was chosen on the other pages
# does, else the one of the system, also when that changes. It runs before the first paint.
THEME = """
  const system = matchMedia("(prefers-color-scheme: dark)");
  function follow() {
    let chosen = null;
    try {
      chosen = localStorage.getItem("theme");
    } catch {}
    const dark = chosen ? chosen === "dark" : system.matches;
    document.documentElement.classList.toggle("dark-mode", dark);
  }
  follow();
  system.addEventListener("change", follow);
  addEventListener("storage", follow);
"""

# Swagger UI puts a link into the button that opens an operation, where a screen reader does not find it, has the
# introduction outside of every landmark, and does not name the fields of objects and bodies.
PLUGIN = """
  const accessible = ({React: {createElement}}) => ({
    wrapComponents: {
      InfoContainer: (Info) => (props) =>
        createElement("section", {"aria-label": "Introduction"}, createElement(Info, props)),
      DeepLink: (Link) => (props) =>
        props.path.includes("/") ? createElement("span", null, props.text) : createElement(Link, props),
      TextArea: (Area) => (props) =>
        createElement(Area, props.className?.startsWith("body-param") ? {"aria-label": "Body", ...props} : props),
      JsonSchema_object: (Field) => (props) =>
        createElement("label", null,
          createElement("span", {className: "field-name"}, (props.description ?? "value").split(" - ")[0]),
          createElement(Field, props)),
    },
  });
"""

# What Swagger UI shows although it tells nothing here: the only server, links between operations, and the same
# example for each of nine errors. The tables are made to fit into a narrow window. Its colours are
# darkened, in its dark theme lightened, until text has a contrast of 4.5 to 1.
STYLE = """
  html { background: #f6f7f9 }
  html.dark-mode, html.dark-mode .swagger-ui { background: #0d1015 }
  body { margin: 0 }
  body > nav { display: flex; gap: 24px; max-width: 1460px; margin: 0 auto }
  body > nav { padding: 16px 20px 0; font: 15px/1.5 sans-serif }
  body > nav a { color: #11151b } html.dark-mode body > nav a { color: #eceff4 }
  .swagger-ui .info { margin: 24px 0 }
  .swagger-ui .scheme-container .schemes > .schemes-server-container { display: none }
  .swagger-ui .response-col_links { display: none }
  .swagger-ui .scheme-container .schemes { justify-content: flex-end }
  html .swagger-ui .scheme-container, html.dark-mode .swagger-ui .scheme-container {
    background: none; box-shadow: none; margin: 0; padding: 0
  }
  .swagger-ui .response[data-code]:not([data-code="200"]) .response-col_description
    > :not(.response-col_description__inner) { display: none }
  .swagger-ui .opblock-tag a { text-transform: capitalize }
  .swagger-ui .parameters textarea { height: 4em; min-height: 4em }
  .swagger-ui .opblock-description a { overflow-wrap: anywhere }
  .swagger-ui .info h2 { font-size: 18px; margin: 20px 0 8px }
  .swagger-ui .field-name { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
  .swagger-ui .curl code { white-space: pre-wrap !important; overflow-wrap: anywhere }
  .swagger-ui .microlight span[style*="rgb(211, 99, 99)"] { color: #f29a9a !important }
  .swagger-ui .info .title small { background: #5b6270 }
  .swagger-ui .info .title small.version-stamp { background: #4a6a00 }
  .swagger-ui .download-contents { background: #5b6270 }
  .swagger-ui .btn.execute { background: #0a5fc2; border-color: #0a5fc2 }
  .swagger-ui .opblock.opblock-post .opblock-summary-method { background: #0b7a4b }
  .swagger-ui .opblock.opblock-get .opblock-summary-method { background: #0a5fc2 }
  html.dark-mode .swagger-ui .opblock .opblock-section-header .try-out__btn.cancel {
    color: #ff9a9a; border-color: #ff9a9a
  }
  html:not(.dark-mode) .swagger-ui :is(.info a, .info .url, .markdown a) { color: #0a5fc2 }
  html:not(.dark-mode) .swagger-ui .btn.authorize { color: #0b7a4b; border-color: #0b7a4b }
  html:not(.dark-mode) .swagger-ui .btn.authorize svg { fill: #0b7a4b }
  html:not(.dark-mode) .swagger-ui .btn.cancel { color: #b3261e; border-color: #b3261e }
  html:not(.dark-mode) .swagger-ui :is(.markdown, .renderedMarkdown) code { color: #6b0fbf }
  html:not(.dark-mode) .swagger-ui .parameter__in { color: #555c66 }
  html:not(.dark-mode) .swagger-ui .json-schema-2020-12-expand-deep-button { color: #555c66 }
  @media (max-width: 640px) {
    .swagger-ui .opblock-tag { flex-wrap: wrap }
    .swagger-ui .opblock-tag small { order: 1; flex-basis: 100%; padding: 4px 0 0 }
    .swagger-ui .opblock-tag a { flex: 1 }
    .swagger-ui .opblock .opblock-summary { align-items: flex-start }
    .swagger-ui .opblock .opblock-summary-method { flex: none; min-width: 0; padding: 6px 10px }
    .swagger-ui .opblock-summary-path { max-width: 100% }
  }
"""

PARAMETERS = {
    "deepLinking": True,
    "docExpansion": "list",
    "tryItOutEnabled": True,
    "displayRequestDuration": True,
    "validatorUrl": None,  # the default would send the document to a validator on the public network
}


def add_docs(router: APIRouter, title: str) -> None:
    """Add the page, under a title, and its assets."""
    folder = files("fastapi_swagger.resources")
    parameters = orjson.dumps(PARAMETERS).decode()
    text = PAGE.format(title=title, style=STYLE, theme=THEME, plugin=PLUGIN, parameters=parameters)

    @cache
    def page() -> Resource:
        return resource(text.encode(), "text/html; charset=utf-8", "no-cache")

    @cache
    def file(name: str) -> Resource:
        content, media_type = (folder / name).read_bytes(), ASSETS[name]
        compressible = not media_type.startswith("image/")
        return resource(content, media_type, "public, max-age=86400", compressible=compressible)

    headers = {"content-security-policy": policy(text), "referrer-policy": "no-referrer"}

    async def docs(request: Request) -> Response:
        return sent(request, page(), headers)

    async def asset(request: Request, name: str) -> Response:
        if name not in ASSETS:
            raise HTTPException(404, f"expected one of {', '.join(ASSETS)}, got {name[:80]}")
        return sent(request, await run_in_threadpool(file, name), {})

    router.add_api_route("/docs", docs, methods=READ, include_in_schema=False)
    router.add_api_route("/docs/{name}", asset, methods=READ, include_in_schema=False)


def policy(html: str) -> str:
    """Return the content security policy of a page whose scripts and styles stand in it, named by their hashes."""
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for tag, text in _INLINE.findall(html):
        digest = base64.b64encode(sha256(text.encode()).digest()).decode()
        hashes[tag].append(f"'sha256-{digest}'")
    directives = {
        "default-src": "'none'",
        "script-src": " ".join(["'self'", *hashes["script"]]),
        "style-src": " ".join(["'self'", *hashes["style"]]),
        "img-src": "'self' data:",
        "font-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {sources}" for name, sources in directives.items())
