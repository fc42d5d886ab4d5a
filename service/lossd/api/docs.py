"""This file is /docs: Swagger UI with every asset from an installed package, so that it needs no network."""

from __future__ import annotations

from importlib.resources import files

from fastapi import FastAPI, HTTPException, Response
from fastapi.openapi.docs import get_swagger_ui_html

READ = ["GET", "HEAD"]
ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}


def add_docs(app: FastAPI) -> None:
    """Add the page and its assets to the application."""
    folder = files("fastapi_swagger.resources")

    async def page() -> Response:
        # Relative addresses hold behind a proxy that serves lossd under a path. Without a validatorUrl the
        # page would send the document to a validator on the public network.
        return get_swagger_ui_html(
            title=f"{app.title} {app.version}",
            openapi_url="openapi.json",
            swagger_js_url="docs/swagger-ui-bundle.js",
            swagger_css_url="docs/swagger-ui.css",
            swagger_favicon_url="docs/favicon-32x32.png",
            swagger_ui_parameters={"validatorUrl": None, "docExpansion": "none", "tryItOutEnabled": True},
        )

    async def asset(name: str) -> Response:
        if name not in ASSETS:
            raise HTTPException(404, f"expected one of {', '.join(ASSETS)}, got {name[:80]}")
        headers = {"cache-control": "public, max-age=86400"}
        return Response((folder / name).read_bytes(), media_type=ASSETS[name], headers=headers)

    app.add_api_route("/docs", page, methods=READ, include_in_schema=False)
    app.add_api_route("/docs/{name}", asset, methods=READ, include_in_schema=False)
