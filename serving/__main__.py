"""`python -m serving`: the embedded model server, with tensorflow_model_server's flags."""

import asyncio
import logging
import os
import sys

from serving import flags, logs, runtime


def main() -> int:
    """Serves until a signal; 0 after a drain, 1 if it could not start, 2 for wrong flags."""
    values = flags.parse(sys.argv[1:])
    logs.configure()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its greetings are no JSON
    runtime.use_bare_tensorflow()
    from serving.config_files import ConfigFileError
    from serving.errors import ServingError
    from serving.server import serve

    try:
        asyncio.run(serve(values))
    except (ConfigFileError, ServingError, OSError) as error:
        logs.event("cannot start", level=40, reason=str(error))
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    # TensorFlow's threads may still be at work on a request that nobody waits for any more, and
    # its destructors do not expect that.
    os._exit(code)
