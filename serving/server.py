"""The server's life: load, listen, drain, stop."""

import asyncio
import gc
import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
from aiohttp import web
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_reflection.v1alpha import reflection
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from client.request_log.writer import LogLimits
from serving import config_files, int8, logs, servable
from serving.batching import Batcher
from serving.core import Core
from serving.errors import ServingError
from serving.flags import Flags
from serving.grpc_services import (
    MODEL_SERVICE,
    PREDICTION_SERVICE,
    BoundedRequests,
    ModelService,
    PredictionService,
)
from serving.intake import MAX_MESSAGE_BYTES, Intake
from serving.manager import LoadPolicy, ModelManager, ModelsUnavailable
from serving.metrics import Metrics
from serving.request_logging import RequestLogging
from serving.rest import RestApi
from serving.versions import check_content
from serving.warmup import warm_up

MAX_QUEUED_REQUESTS = 128  # where batching parameters set no other bound
IDLE_CONNECTION_SECONDS = 30.0
CLOSE_SECONDS = 2.0  # after the drain, for what is still running but waited for by nobody


class Server:
    """One running server. Everything but `run` is called by it."""

    def __init__(self, flags: Flags) -> None:
        """Reads the files that the flags name. Raises ConfigFileError."""
        self._flags = flags
        self._config = _model_config(flags)
        self._ssl = flags.ssl_config_file and config_files.read_ssl_config(flags.ssl_config_file)
        self._prometheus_path = (
            config_files.read_prometheus_path(flags.monitoring_config_file)
            if flags.monitoring_config_file
            else config_files.DEFAULT_PROMETHEUS_PATH
        )
        parameters = None
        if flags.enable_batching:
            parameters = config_files.BatchingParameters()
            if flags.batching_parameters_file:
                parameters = config_files.read_batching_parameters(flags.batching_parameters_file)
        self._metrics = Metrics()
        self._batcher = Batcher(
            parameters,
            threads=min(os.cpu_count() or 1, flags.grpc_max_threads),
            queue=MAX_QUEUED_REQUESTS,
            on_batch=self._metrics.batch,
        )
        self._metrics.queued_from(self._batcher.queued)
        self._manager = ModelManager(self._load, _load_policy(flags), self._on_change)
        self._intake = Intake()
        limits = LogLimits(flags.log_max_megabytes, flags.log_max_days)
        self._logging = RequestLogging(self._metrics, limits, pixels=flags.log_pixels)
        self._core = Core(self._manager, self._batcher, self._metrics, self._logging)
        self._health = health.aio.HealthServicer()
        self._told: set[str] = set()  # models whose health was set
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Serves until SIGTERM, SIGINT or `stop`, then drains.

        The ports open once every model had its chance to load, as TensorFlow Serving's do.
        Raises ServingError for a configuration that is not allowed, OSError for a port that
        cannot be had.
        """
        self._loop = asyncio.get_running_loop()
        for flag in self._flags.without_effect:
            logs.event("flag without effect", flag=flag)
        await self._set_health({})
        await asyncio.to_thread(self._configure, self._config)
        gc.freeze()  # what start-up made is here to stay; collections after a swap skip it
        try:
            grpc_server = await self._start_grpc()
            rest = await self._start_rest()
            self._manager.start_polling()
            config_poll = asyncio.create_task(self._poll_config())
            logs.event(
                "serving",
                address=self._flags.bind_address,
                grpc_port=self._flags.port,
                rest_port=self._flags.rest_api_port,
                ready=self._manager.ready(),
            )
            await self._stop.wait()
            config_poll.cancel()
            await self._drain(grpc_server, rest)
        finally:
            await asyncio.to_thread(self._close)
        logs.event("stopped")

    def stop(self) -> None:
        """Starts the drain; from the event loop's thread. A second call ends the process."""
        if self._stop.is_set():
            os._exit(1)
        self._stop.set()

    async def _start_grpc(self) -> grpc.aio.Server:
        flags = self._flags
        server = grpc.aio.server(
            interceptors=[BoundedRequests(self._intake)],
            options=_channel_options(flags.grpc_channel_arguments),
        )
        prediction = PredictionService(
            self._core, self._metrics, as_content=flags.enable_serialization_as_tensor_content
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(self._core), server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection(
            (PREDICTION_SERVICE, MODEL_SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME),
            server,
        )
        addresses = [f"{flags.bind_address}:{flags.port}"] if flags.port else []
        if flags.grpc_socket_path:
            addresses.append(f"unix:{flags.grpc_socket_path}")
        for address in addresses:
            try:
                if self._ssl:
                    server.add_secure_port(address, _credentials(self._ssl))
                else:
                    server.add_insecure_port(address)
            except RuntimeError:
                why = "is it in use" + (", or the certificate damaged?" if self._ssl else "?")
                raise OSError(f"cannot listen on {address} for gRPC; {why}") from None
        await server.start()
        return server

    async def _start_rest(self) -> web.AppRunner | None:
        if not self._flags.rest_api_port:
            return None
        api = RestApi(
            self._core,
            self._metrics,
            prometheus_path=self._prometheus_path,
            timeout=self._flags.rest_api_timeout_in_ms / 1000,
            intake=self._intake,
            cors=self._flags.rest_api_enable_cors_support,
        )
        runner = web.AppRunner(
            api.application,
            access_log=None,
            logger=logs.SILENT,
            handler_cancellation=True,  # a caller that hangs up withdraws its request
            keepalive_timeout=IDLE_CONNECTION_SECONDS,  # the time that headers may take, too
            lingering_time=1.0,  # for the rest of a body that was refused
            shutdown_timeout=self._flags.drain_seconds,
        )
        await runner.setup()
        host = self._flags.bind_address.strip("[]")
        await web.TCPSite(runner, host, self._flags.rest_api_port).start()
        return runner

    async def _drain(self, grpc_server: grpc.aio.Server, rest: web.AppRunner | None) -> None:
        logs.event("draining", seconds=self._flags.drain_seconds)
        await self._health.enter_graceful_shutdown()
        await asyncio.gather(
            grpc_server.stop(self._flags.drain_seconds), *([rest.cleanup()] if rest else [])
        )

    def _close(self) -> None:
        if self._batcher.close(CLOSE_SECONDS):
            self._manager.close()
        else:
            logs.event("requests abandoned", level=40)
        self._logging.close()

    def _load(self, name: str, version: int, path: Path) -> servable.Servable:
        options = servable.SessionOptions(
            tags=tuple(self._flags.saved_model_tags.split(",")),
            intra_op_threads=self._flags.tensorflow_intra_op_parallelism
            or self._flags.tensorflow_session_parallelism,
            inter_op_threads=self._flags.tensorflow_inter_op_parallelism
            or self._flags.tensorflow_session_parallelism,
            bfloat16=self._flags.precision == "bfloat16",
        )
        start = time.perf_counter()
        try:
            check_content(path)
            kind = self._kind(path, options.intra_op_threads)
            loaded = servable.load(name, version, path, options, self._metrics.ran, kind)
        except ServingError:
            self._metrics.loaded(str(path), None)
            raise
        self._metrics.loaded(str(path), time.perf_counter() - start)
        if self._flags.enable_model_warmup:
            start = time.perf_counter()
            try:
                iterations = max(1, self._flags.num_request_iterations_for_warmup)
                records = warm_up(loaded, path, iterations)
            except ServingError:
                loaded.close()
                raise
            self._metrics.warmed_up(str(path), time.perf_counter() - start, records)
        return loaded

    def _kind(self, path: Path, threads: int) -> Callable[..., servable.Servable]:
        """What a version is to be; one without a usable int8 form is served all the same."""
        if self._flags.precision == "int8":
            try:
                return int8.kind(path, threads)
            except ServingError as error:
                reason = error.short_message
                logs.event("served in float32", level=30, path=str(path), reason=reason)
        return servable.Servable

    def _on_change(self, ready: Mapping[str, bool]) -> None:
        asyncio.run_coroutine_threadsafe(self._set_health(ready), self._loop)

    async def _set_health(self, ready: Mapping[str, bool]) -> None:
        """The health of each model by its name, and of all of them under the services' names."""
        every = bool(ready) and all(ready.values())
        services = dict.fromkeys(("", PREDICTION_SERVICE, MODEL_SERVICE), every)
        for gone in self._told - ready.keys():
            await self._health.set(gone, HealthCheckResponse.SERVICE_UNKNOWN)
        self._told = set(ready)
        for name, serving in (services | dict(ready)).items():
            status = HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING
            await self._health.set(name, status)

    def _configure(self, config: Any) -> None:
        with self._logging.taking(config):
            try:
                self._manager.configure(config)
            except ModelsUnavailable as error:  # the configuration is taken over all the same
                logs.event("models unavailable", level=40, reason=error.short_message)

    async def _poll_config(self) -> None:
        interval = self._flags.model_config_file_poll_wait_seconds
        while interval and self._flags.model_config_file:
            await asyncio.sleep(interval)
            try:
                config = config_files.read_model_config(self._flags.model_config_file)
                await asyncio.to_thread(self._configure, config)
            except (ServingError, config_files.ConfigFileError) as error:
                logs.event("configuration refused", level=40, reason=str(error))


async def serve(flags: Flags) -> None:
    """Runs a server until a signal ends it. Raises ConfigFileError, ServingError, OSError."""
    server = Server(flags)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    await server.run()


def _model_config(flags: Flags) -> Any:
    if flags.model_config_file:
        return config_files.read_model_config(flags.model_config_file)
    return config_files.single_model_config(
        flags.model_name, flags.model_base_path, flags.request_log
    )


def _load_policy(flags: Flags) -> LoadPolicy:
    return LoadPolicy(
        poll_seconds=flags.file_system_poll_wait_seconds,
        max_retries=flags.max_num_load_retries,
        retry_seconds=flags.load_retry_interval_micros / 1e6,
        labels_before_available=flags.allow_version_labels_for_unavailable_models,
    )


def _channel_options(arguments: str) -> list[tuple[str, int | str]]:
    options: dict[str, int | str] = {
        "grpc.so_reuseport": 0,  # a port that is taken is an error, not shared
        "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
        "grpc.max_send_message_length": -1,
        "grpc.max_concurrent_streams": MAX_QUEUED_REQUESTS,  # of one connection
        # Measuring the line would let every stream send megabytes before anybody asks for them.
        "grpc.http2.bdp_probe": 0,
        # gRPC inflates a message whole, whatever comes of it; a film is compressed anyway.
        "grpc.compression_enabled_algorithms_bitset": 1,  # none
    }
    for argument in filter(None, arguments.split(",")):
        key, _, value = argument.partition("=")
        options[key] = int(value) if re.fullmatch(r"-?[0-9]+", value) else value
    return list(options.items())


def _credentials(config: Any) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )
