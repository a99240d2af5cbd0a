"""The fake engine: a real child process that speaks llama.cpp's dialect of the wire and makes its answers up, always the same ones.

For tests and benchmarks. Directives in the last message or prompt steer it (`openhearth.engines.fake.directives`).
"""

from openhearth.engines.fake.launcher import FakeLauncher

__all__ = ["FakeLauncher"]
