"""What the gateway says over HTTP: health, metrics and the worklist."""

from pathlib import Path
from typing import Any, Final

from flask import Flask, Response, jsonify, render_template, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from client import web
from client.pacs import metrics, worklist
from client.pacs.gateway import Gateway
from client.web.app import HEADERS
from client.web.hosts import Hosts

_PEERS: Final = {"server": "model server", "pacs": "PACS"}


def create_app(gateway: Gateway, viewer: str = "", hosts: Hosts | None = None) -> Flask:
    """Makes the application, in the web page's style.

    Args:
        gateway: what it reports on.
        viewer: as of `client.pacs.worklist.rows`.
        hosts: the names that the worklist answers to; None: this machine's own.

    Returns:
        The Flask application.
    """
    app = Flask(__name__, static_folder=Path(web.__file__).parent / "static")
    registry = metrics.registry(metrics.QueueCollector(gateway.queue, gateway.links))
    names = hosts or Hosts()

    @app.before_request
    def check_host() -> Any:
        # Not of health and metrics, which name no study: a monitor asks by a service's name.
        if request.endpoint in ("page", "listed") and not names.knows(request.host):
            return "The worklist is not known by this name; see --allowed-hosts", 403
        return None

    @app.get("/healthz")
    def health() -> Any:
        """Whether the process should go on: not so once a thread has ended."""
        alive = gateway.is_alive
        return jsonify(status="ok" if alive else "a thread ended"), 200 if alive else 500

    @app.get("/readyz")
    def ready() -> Any:
        """Whether a film that comes now would be answered at once."""
        state = {link.name: "ok" if link.is_up else link.reason for link in gateway.links}
        state["queue"] = "ok" if gateway.queue.has_room(0) else "full"
        return jsonify(state), 200 if set(state.values()) == {"ok"} else 503

    @app.get("/metrics")
    def scrape() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    @app.get("/")
    def page() -> str:
        waits = [f"{_PEERS[link.name]} is away" for link in gateway.links if not link.is_up]
        return render_template(
            "worklist.html", rows=worklist.rows(gateway.queue, viewer), waits=waits
        )

    @app.get("/api/worklist")
    def listed() -> Response:
        return jsonify(worklist.rows(gateway.queue, viewer))

    @app.template_filter("duration")
    def duration(seconds: int) -> str:
        hours, minutes = divmod(seconds // 60, 60)
        return f"{hours} h {minutes} min" if hours else f"{minutes} min"

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers.update(HEADERS)
        if response.mimetype != "text/css":
            response.headers["Cache-Control"] = "no-store"
        return response

    return app
