"""Mail that is to be sent, so that none is lost when the program ends."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from openhearth.store.columns import POSITION
from openhearth.store.database import Table


class MailRow(Table):
    """One message to one address."""

    __tablename__ = "mail"
    __table_args__ = (Index("mail_by_time", "sent_at", "next_at"), Index("mail_by_expiry", "expires_at"))

    position: Mapped[int] = mapped_column(POSITION, primary_key=True, autoincrement=True)
    recipient: Mapped[str] = mapped_column(String(320))
    subject: Mapped[str] = mapped_column(String(998))
    text: Mapped[str] = mapped_column(Text)
    """`{link}` stands where the link goes. Empty once it was sent."""
    link: Mapped[str | None] = mapped_column(String(512))
    """Path and query."""
    created_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int] = mapped_column(BigInteger)
    """Afterwards it isn't sent any more."""
    attempts: Mapped[int] = mapped_column(Integer)
    next_at: Mapped[int] = mapped_column(BigInteger)
    sent_at: Mapped[int | None] = mapped_column(BigInteger)
    failed_at: Mapped[int | None] = mapped_column(BigInteger)
    """Given up."""
