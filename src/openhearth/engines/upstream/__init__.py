"""Any server that speaks OpenAI's wire, elsewhere, as an engine: vLLM, SGLang, Ollama, llama-server, OpenAI, another Open Hearth.

launcher (one running engine a model) -> client (requests, tried again) -> circuit (one a server, shared by its models);
address (where, and the key), refusals (what it says went wrong -> our errors), listing (its models).
"""

from openhearth.engines.upstream.launcher import UpstreamLauncher
from openhearth.engines.upstream.listing import UpstreamModel, list_models

__all__ = ["UpstreamLauncher", "UpstreamModel", "list_models"]
