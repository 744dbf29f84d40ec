"""What a ModelServerConfig may say."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serving.errors import failed_precondition, invalid_argument


def check_config(config: Any, current: Mapping[str, Any]) -> None:
    """Checks a ModelServerConfig against the models configured now (ModelConfig by name).

    Raises ServingError, one message for one fault. (model_servers/server_core.cc)
    """
    if config.WhichOneof("config") == "custom_model_config":
        raise failed_precondition(
            "Cannot transition to requested config. It is only legal to transition "
            "from one ModelConfigList to another."
        )
    names = set()
    for model in config.model_config_list.config:
        if model.name in names:
            raise invalid_argument(
                f"Illegal to list model {model.name} multiple times in config list"
            )
        names.add(model.name)
        if not Path(model.base_path).is_absolute():
            raise invalid_argument(
                f"Expected model {model.name} to have an absolute path or URI; "
                f"got base_path()={model.base_path}"
            )
        platform = _platform(model)
        if model.name in current and platform != (old := _platform(current[model.name])):
            raise invalid_argument(
                f"Illegal to change a model's platform. For model {model.name} platform was "
                f"{old} and new platform requested is {platform}"
            )
        if platform != "tensorflow":
            raise invalid_argument(f"Model {model.name} requests unsupported platform {platform}")


def _platform(model: Any) -> str:
    if model.model_platform:
        return model.model_platform
    raise invalid_argument(
        "Illegal setting neither ModelServerConfig::model_type (deprecated) "
        f"nor ModelServerConfig::model_platform, model name is {model.name}"
    )
