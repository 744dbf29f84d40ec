"""A real PACS, Orthanc, on free ports of 127.0.0.1."""

import json
import subprocess
import time
from pathlib import Path

import requests

from tests.ports import free_port

TITLE = "ORTHANC"
GATEWAY = "PNEUMONIA"
_PLUGINS = Path("/usr/share/orthanc/plugins")


def wait_for(condition, seconds: float = 600.0):
    """The first true value that `condition` returns; fails after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds:g} s: {condition}")


class Orthanc:
    """`gateway`: the port at which Orthanc reaches the gateway, to forward films."""

    def __init__(self, folder: Path, gateway: int):
        self.folder = folder
        self.dicom, self.http = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http}"
        self.web = f"{self.url}/dicom-web"
        self.address = f"{TITLE}@127.0.0.1:{self.dicom}"
        plugins = [str(_PLUGINS / f"libOrthanc{name}.so") for name in ("DicomWeb", "WebViewer")]
        settings = {
            "Name": "test",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "Plugins": plugins,
            "HttpPort": self.http,
            "DicomPort": self.dicom,
            "DicomAet": TITLE,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomModalities": {"gateway": [GATEWAY, "127.0.0.1", gateway]},
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            "WebViewer": {"CachePath": str(folder / "cache")},
        }
        folder.mkdir(parents=True)
        (folder / "orthanc.json").write_text(json.dumps(settings))
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        with (self.folder / "orthanc.log").open("ab") as log:
            command = ["/usr/sbin/Orthanc", str(self.folder / "orthanc.json")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(self._answers)

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def get(self, path: str):
        return requests.get(self.url + path, timeout=200).json()

    def file(self, instance: str) -> bytes:
        return requests.get(f"{self.url}/instances/{instance}/file", timeout=200).content

    def upload(self, content: bytes) -> str:
        """Orthanc's own id of the stored instance."""
        answer = requests.post(f"{self.url}/instances", data=content, timeout=200)
        return answer.json()["ID"]

    def forward(self, instance: str) -> None:
        """Sends an instance to the gateway by C-STORE."""
        answer = requests.post(f"{self.url}/modalities/gateway/store", data=instance, timeout=200)
        answer.raise_for_status()

    def answers(self, study: str | None = None) -> list[str]:
        """Orthanc's ids of the objects whose series are no films."""
        query = {"Level": "Instance", "Query": {"Modality": "SR\\OT\\PR"}}
        if study:
            query["Query"]["StudyInstanceUID"] = study
        return requests.post(f"{self.url}/tools/find", json=query, timeout=200).json()

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/system", timeout=60).ok
        except requests.ConnectionError:
            assert self._process
            assert self._process.poll() is None, (self.folder / "orthanc.log").read_text()
            return False
