"""The container: a Flask application for gunicorn.

Run it as Cloud Run's documentation does::

    gunicorn --bind :$PORT --workers 1 --threads 8 --timeout 0
    "twinserve.service.container:create_app()"
"""

from __future__ import annotations

from flask import Flask, Response, request

from twinserve.service.core import open_core
from twinserve.service.flask_edge import respond

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_app() -> Flask:
    """The application, its model loaded: when this returns, the instance is ready.

    Raises:
        BundleError: the model that ``$TWINSERVE_MODEL`` names cannot be loaded.
    """
    app = Flask("twinserve", static_folder=None)
    core = open_core()

    # The core routes, so that both deployments answer wrong paths and methods alike.
    @app.route("/", defaults={"path": ""}, methods=METHODS, provide_automatic_options=False)
    @app.route("/<path:path>", methods=METHODS, provide_automatic_options=False)
    def answer(path: str) -> Response:  # noqa: ARG001 - Flask passes it by name
        return respond(core, request)

    return app
