"""The child process. Libraries read their number of threads when they are loaded, so it is set before.

Each gets one: those of numpy's library wait by spinning, and with a core too few for all of them that costs fifty times the work.
`bert` divides a batch among threads of its own, and onnxruntime is told its number.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from openhearth.engines.child import read_config, serve

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "RAYON_NUM_THREADS")


def main() -> None:
    """Load, then serve until the parent ends it or itself ends. What is wrong with the files is the last thing said."""
    config = read_config()
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"), TOKENIZERS_PARALLELISM="false")
    from openhearth.engines.embedding.model import EmbeddingModel
    from openhearth.engines.embedding.server import application

    try:
        model = EmbeddingModel(Path(config["path"]), threads=config["threads"], weights=config["weights"], pooling=config["pooling"])
        # The first run lays out memory; no request should wait for that, and a file that can't compute is found here.
        model.check()
    except Exception as error:  # onnxruntime's errors have no common parent of their own
        sys.exit(f"{config['id']} can't be loaded: {error}")
    serve(application(model, config), config)


if __name__ == "__main__":
    main()
