"""Where Beam runs, as Beam's own arguments."""

from pipeline.config import BeamConfig

# Named by its path: the name "DirectRunner" tries Prism first and downloads its binary.
_DIRECT = "pipeline.direct_runner.DirectRunner"


def beam_args(config: BeamConfig) -> list[str]:
    """Beam's command-line arguments for the configured runner; the user's own come last."""
    # Named, though no image is used: otherwise TFX packs its own sources for every step, 7 s each.
    args = [f"--runner={_DIRECT}", "--sdk_container_image=none"]
    if config.workers > 1:
        args += [
            f"--direct_num_workers={config.workers}",
            "--direct_running_mode=multi_processing",
        ]
    return [*args, *config.args]
