"""As much of Kubernetes' API as KubernetesRunner asks for; a pod is this project's own server."""

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.local_server import LocalServer

STEP = "step-pod"


class FakeKubernetes(LocalServer):
    """Knows the step's own pod, whose container mounts `volume`; starts each other pod it is given.

    Args:
        volume: path of a volume, the same in every pod.
        port: where a pod's server is to listen, on 127.0.0.1.
    """

    def __init__(self, volume: Path, port: int) -> None:
        self.port = port
        self.pods: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        claim = {"persistentVolumeClaim": {"claimName": "models"}}
        mounts = [{"name": "pvc", "mountPath": str(volume)}]
        self._step = {
            **{"apiVersion": "v1", "kind": "Pod"},
            "metadata": {"name": STEP, "uid": "1"},
            "spec": {
                "containers": [{"name": "main", "volumeMounts": mounts}],
                "volumes": [{"name": "pvc", **claim}],
            },
        }
        self._processes: list[subprocess.Popen[bytes]] = []
        super().__init__(self._handler())

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        self.stop()
        super().__exit__(kind, value, trace)

    def start(self, pod: dict[str, Any]) -> dict[str, Any]:
        """With what TensorFlow Serving's image makes of its environment."""
        (container,) = pod["spec"]["containers"]
        given = {variable["name"]: variable["value"] for variable in container["env"]}
        name = given["MODEL_NAME"]
        command = [
            *(sys.executable, "-m", "serving", f"--port={self.port}", f"--model_name={name}"),
            f"--model_base_path={given['MODEL_BASE_PATH']}/{name}",
        ]
        self.pods.append(pod)
        self._processes.append(subprocess.Popen(command))
        pod["metadata"]["name"] = f"server-{len(self.pods)}"
        return pod

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
            process.wait(30)
        self._processes.clear()

    def answer(self, method: str, path: str, body: bytes) -> dict[str, Any]:
        *_, kind, name = path.split("/")
        match method, kind:
            case "POST", _:
                return self.start(json.loads(body))
            case "DELETE", _:
                self.deleted.append(name)
                self.stop()
                return {}
            case "GET", "persistentvolumeclaims":
                return {"spec": {"accessModes": ["ReadWriteMany"]}}
        if name == STEP:
            return self._step
        return {**self.pods[-1], "status": {"phase": "Running", "podIP": "127.0.0.1"}}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                content = json.dumps(fake.answer(self.command, self.path, body)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_DELETE = do_GET  # noqa: N815 - the library's names

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
