"""Column types that tables share."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer
from sqlalchemy.types import TypeEngine

POSITION: TypeEngine[int] = BigInteger().with_variant(Integer, "sqlite")
"""An automatic number in order of insertion: SQLite counts up only for INTEGER."""
