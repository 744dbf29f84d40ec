"""What the gateway asks the model server for."""

import pytest

from client.client import PneumoniaClient
from client.pacs.gateway import Gateway
from client.pacs.queue import Queue
from tests.client.fake_server import VERSION
from tests.client.pacs.films import film
from tests.client.pacs.orthanc import wait_for


class Kept:
    """A PACS that takes everything."""

    def store(self, objects):
        pass

    def check(self):
        pass

    def rest(self):
        pass


@pytest.fixture
def gateway(tmp_path, server):
    queue = Queue(tmp_path / "queue")
    client = PneumoniaClient(f"127.0.0.1:{server}", timeout=20)
    gateway = Gateway(queue, client, Kept())
    gateway.start()
    yield gateway
    gateway.stop()
    client.close()
    queue.close()


def answered(gateway: Gateway, number: int) -> None:
    before = gateway.queue.counts()["stored"]
    gateway.queue.add(f"1.2.{number}", "1", film(number))
    wait_for(lambda: gateway.queue.counts()["stored"] == before + 1)


def test_all_is_asked_for_but_the_pictures_that_nobody_looks_at(gateway, model):
    wait_for(lambda: gateway.served == VERSION)
    answered(gateway, 1)
    assert set(model.wanted) == {
        *("probability", "threshold", "label"),
        *("quality", "familiarity", "heatmap"),
    }


def test_a_version_that_lacks_an_output_answers_all_the_same(gateway, model):
    wait_for(lambda: gateway.served == VERSION)
    model.familiarity = None
    answered(gateway, 2)
    assert model.wanted == ()
