"""HTTP/1.1 to one address, over kept connections: what engines and upstream servers need of it, at a fifth of a general client's cost.

Parsing is httptools'. No redirects, cookies, compression or proxies; retries nothing. What is said in errors is its callers' business.
"""

from openhearth.engines.http.connections import Connections
from openhearth.engines.http.reply import ConnectionBroken, ConnectionsClosed, Reply, Silence
from openhearth.engines.http.target import ConnectTimeout, Target

__all__ = ["ConnectTimeout", "ConnectionBroken", "Connections", "ConnectionsClosed", "Reply", "Silence", "Target"]
