"""Turns the settings of where Beam runs into Beam's own arguments."""

from pipeline.config import BeamConfig

# Named by its path: the name "DirectRunner" tries Prism first and downloads its binary.
_DIRECT = "pipeline.beam.direct_runner.DirectRunner"
_PORTABLE = "pipeline.beam.portable_runner.PortableRunner"


def beam_args(config: BeamConfig) -> list[str]:
    """Lists Beam's command-line arguments for the configured runner; the user's own come last."""
    # Named even where no image is used: otherwise TFX packs its own sources for every step (7 s).
    image = config.worker_image or "none"
    return [*_runner(config), f"--sdk_container_image={image}", *config.args]


def _runner(config: BeamConfig) -> list[str]:
    if config.runner == "portable":
        return _portable(config)
    if config.runner != "direct":
        return [f"--runner={config.runner}", "--beam_plugin=tfx"]
    processes = [f"--direct_num_workers={config.workers}", "--direct_running_mode=multi_processing"]
    return [f"--runner={_DIRECT}", *(processes if config.forks else [])]


def _portable(config: BeamConfig) -> list[str]:
    artifacts = config.artifact_endpoint
    workers = (
        ["--environment_type=EXTERNAL", f"--environment_config={config.worker_pool}"]
        if config.worker_pool
        else ["--environment_type=DOCKER"]
    )
    return [
        f"--runner={_PORTABLE}",
        f"--job_endpoint={config.job_endpoint}",
        *([f"--artifact_endpoint={artifacts}"] if artifacts else []),
        *workers,
        f"--sdk_worker_parallelism={config.workers}",
        "--beam_plugin=tfx",
    ]
