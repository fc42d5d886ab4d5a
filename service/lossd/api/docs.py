"""Serves /docs: Swagger UI with every asset from an installed package, so that it needs no network."""

from __future__ import annotations

from importlib.resources import files

import orjson
from fastapi import FastAPI, HTTPException, Response

READ = ["GET", "HEAD"]
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
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({{url: "openapi.json", dom_id: "#swagger-ui", ...{parameters}}})</script>
</body>
</html>
"""

# What Swagger UI shows although it tells nothing here: the only server, links between operations, and the same
# example for each of nine errors. The tables are made to fit into a narrow window.
STYLE = """
  body { margin: 0 }
  .swagger-ui .info { margin: 24px 0 }
  .swagger-ui .scheme-container, .swagger-ui .response-col_links { display: none }
  .swagger-ui .response[data-code]:not([data-code="200"]) .response-col_description
    > :not(.response-col_description__inner) { display: none }
  .swagger-ui .opblock-tag a { text-transform: capitalize }
  .swagger-ui .parameters textarea { height: 4em; min-height: 4em }
  .swagger-ui .opblock-description a { overflow-wrap: anywhere }
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


def add_docs(app: FastAPI) -> None:
    """Add the page and its assets to the application."""
    folder = files("fastapi_swagger.resources")
    text = PAGE.format(
        title=f"{app.title} {app.version}", style=STYLE, parameters=orjson.dumps(PARAMETERS).decode()
    )

    async def page() -> Response:
        return Response(text, media_type="text/html")

    async def asset(name: str) -> Response:
        if name not in ASSETS:
            raise HTTPException(404, f"expected one of {', '.join(ASSETS)}, got {name[:80]}")
        headers = {"cache-control": "public, max-age=86400"}
        return Response((folder / name).read_bytes(), media_type=ASSETS[name], headers=headers)

    app.add_api_route("/docs", page, methods=READ, include_in_schema=False)
    app.add_api_route("/docs/{name}", asset, methods=READ, include_in_schema=False)
