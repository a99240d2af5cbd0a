"""The child process."""

from __future__ import annotations

import time

from openhearth.engines.child import read_config, serve
from openhearth.engines.fake.server import application

if __name__ == "__main__":
    config = read_config()
    time.sleep(float(config.get("start_delay_s") or 0))
    serve(application(config), config)
