"""Beam's direct runner, with worker processes that can load what TFX's steps send them."""

from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.portable_runner import JobServiceHandle

# TFDV 1.16.1 imports only after tfx, which stands in for a module that tfx-bsl dropped. Whatever
# started the pipeline has tfx; a worker meets TFDV first, in a function that it unpickles.
_FIRST = {"beam_plugins": ["tfx"]}


class DirectRunner(fn_runner.FnApiRunner):
    """FnApiRunner that hands its worker processes options, as the portable runners do.

    Beam's own starts them without any, so that its option --beam_plugin is lost.
    """

    def __init__(self) -> None:
        options = JobServiceHandle.encode_pipeline_options(_FIRST)
        info = beam_provision_api_pb2.ProvisionInfo(pipeline_options=options)
        super().__init__(provision_info=fn_runner.ExtendedProvisionInfo(info))
