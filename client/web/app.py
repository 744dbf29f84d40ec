"""The page and its API, a WSGI application."""

import json
import logging
import math
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any, Final

from flask import Flask, Response, g, jsonify, render_template, request
from werkzeug.exceptions import HTTPException

from client.client import PneumoniaClient
from client.errors import AbandonedError, ServerError
from client.images import ImageError, read
from client.web import answers
from client.web.hosts import Hosts
from client.web.limits import PageLimits, RateLimiter
from client.web.opinions import Opinions

_STATUS_SECONDS: Final = 2.0  # a server that hangs must not hold the page's threads
_OPENAPI: Final = Path(__file__).with_name("openapi.json")
_LOGGER: Final = logging.getLogger(__name__)
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
        "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
SAMPLES: Final = {
    "clear-1.jpeg": "Clear lungs",
    "dense-upper.jpeg": "Dense opacity, upper lung",
    "patchy.jpeg": "Patchy opacities, both lungs",
    "clear-2.jpeg": "Clear lungs, second film",
}


def create_app(
    server: PneumoniaClient,
    limits: PageLimits | None = None,
    hosts: Hosts | None = None,
    opinions: Opinions | None = None,
) -> Flask:
    """Makes the application; it keeps no upload, in memory or on disk.

    Args:
        server: the model server that it asks.
        limits: on uploads and requests; None: the defaults.
        hosts: the names that the page answers to; None: this machine's own.
        opinions: where what readers say of the answers is kept; None: nobody is asked.

    Returns:
        The Flask application.
    """
    limits = limits or PageLimits()
    hosts = hosts or Hosts()
    rate = RateLimiter(limits.burst, limits.per_minute)
    places = BoundedSemaphore(limits.at_once)
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = limits.upload_bytes

    @app.get("/")
    def page() -> str:
        return render_template(
            "page.html",
            samples=SAMPLES,
            limits=asdict(limits),
            opinions=opinions is not None,
            kept=server.keeps,
        )

    @app.get("/health")
    def health() -> Response:
        return jsonify(status="ok")

    @app.get("/api/openapi.json")
    def openapi() -> Response:
        servers = [{"url": request.script_root or "/"}]
        return jsonify(json.loads(_OPENAPI.read_text()) | {"servers": servers})

    @app.get("/api/server")
    def server_state() -> Response:
        try:
            versions = server.status(_STATUS_SECONDS)
        except ServerError as error:
            return jsonify(state=error.code, version=None)
        loaded = [entry for entry in versions if entry.state == "AVAILABLE"]
        if not loaded:
            return jsonify(state="model_missing", version=None)
        return jsonify(state="ready", version=loaded[0].version)

    @app.post("/api/predict")
    def predict() -> Any:
        if not _is_file_type(request.mimetype):
            message = "send the file's bytes as application/octet-stream, image/* or *dicom"
            return answers.refusal("content_type", message), 415
        wait = rate.wait(request.remote_addr or "")
        if wait:
            retry = {"Retry-After": str(math.ceil(wait))}
            return answers.refusal("rate_limited", "too many X-rays at once"), 429, retry
        if not places.acquire(blocking=False):
            body = answers.refusal("page_busy", "the page has more X-rays than it takes")
            return body, 503, {"Retry-After": "1"}
        left = request.environ.get("waitress.client_disconnected", lambda: False)
        try:
            if left():  # while others were served
                raise AbandonedError
            upload = request.get_data(cache=False)
            xray = read(upload, max_bytes=limits.upload_bytes, max_pixels=limits.pixels)
            answer = server.predict(xray, cam=True, abandoned=left)
            if opinions:
                opinions.answered(xray.sha256)
            return answers.prediction(upload, xray, answer)
        finally:
            places.release()

    @app.post("/api/opinion")
    def opinion() -> Any:
        if opinions is None:
            return answers.refusal("no_opinions", "the page keeps no opinions; --opinions"), 404
        if wait := rate.wait(request.remote_addr or ""):
            retry = {"Retry-After": str(math.ceil(wait))}
            return answers.refusal("rate_limited", "too much at once"), 429, retry
        return opinions.take(request.get_json())

    app.register_error_handler(ImageError, answers.refused_image)
    app.register_error_handler(ServerError, answers.failed_server)
    app.register_error_handler(HTTPException, _refuse)
    app.register_error_handler(Exception, _fail)
    app.before_request(_start_clock)
    app.before_request(lambda: _stranger(hosts))
    app.after_request(_finish)
    return app


def _is_file_type(mimetype: str) -> bool:
    """Whether a browser asks before it lets another site's page send this type here."""
    return mimetype in ("application/octet-stream", "application/dicom") or mimetype.startswith(
        "image/"
    )


def _stranger(hosts: Hosts) -> Any:
    """The refusal of a request that none of the page's own pages sends; None for all others."""
    if not hosts.knows(request.host):
        message = "the page is not known by this name; start it with --allowed-hosts NAME"
        return answers.refusal("forbidden_host", message), 403
    origin = request.headers.get("Origin")
    if request.method not in ("GET", "HEAD") and origin and not hosts.allows(origin, request.host):
        message = "another site's page may send nothing here; see --allowed-hosts"
        return answers.refusal("forbidden_origin", message), 403
    return None


def _refuse(error: HTTPException) -> Any:
    message = error.description or error.name
    return answers.refusal(error.name.lower().replace(" ", "_"), message), error.code or 500


def _fail(error: Exception) -> Any:
    """Logs where it happened, but not the message, which may quote the file."""
    trail = "".join(traceback.format_tb(error.__traceback__))
    _LOGGER.error("%s\n%s", type(error).__name__, trail)
    return answers.refusal("page_failed", "the page failed; its log says where"), 500


def _start_clock() -> None:
    g.start = time.perf_counter()


def _finish(response: Response) -> Response:
    """Adds the headers, and logs the route: a path that is none of ours may hold a name."""
    response.headers.update(HEADERS)
    if request.path.startswith("/api/") or request.path == "/":
        response.headers["Cache-Control"] = "no-store"
    route = request.url_rule.rule if request.url_rule else "(unknown)"
    elapsed = (time.perf_counter() - g.start) * 1000
    _LOGGER.info("%s %s %d %.0f ms", request.method, route, response.status_code, elapsed)
    return response
