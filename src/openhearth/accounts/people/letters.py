"""What mails say. Nothing that a stranger typed stands in them."""

from __future__ import annotations

from dataclasses import dataclass

from openhearth.mail.outbox import LINK


@dataclass(frozen=True, slots=True)
class Letter:
    subject: str
    text: str


REGISTER = Letter(
    "Confirm your address for Open Hearth",
    "Somebody, probably you, wants to register with this address.\n\n"
    f"To confirm it and to choose a password, open within a day:\n{LINK}\n\nIf it wasn't you, do nothing.\n",
)
REGISTERED_ALREADY = Letter(
    "You already have an Open Hearth account",
    "Somebody, probably you, wants to register with this address, which has an account already.\n\n"
    f"If you forgot the password, choose another within an hour:\n{LINK}\n\nIf it wasn't you, do nothing.\n",
)
RESET = Letter(
    "Choose a new password for Open Hearth",
    f"Somebody, probably you, asked for a new password.\n\nTo choose one, open within an hour:\n{LINK}\n\n"
    "All places where you are logged in are then logged out. If it wasn't you, do nothing.\n",
)
INVITE = Letter(
    "You are invited to Open Hearth",
    f"An owner of this server invites you to it.\n\nTo accept, and to choose a password, open within a week:\n{LINK}\n",
)
SETUP = Letter("Set up the owner's login", f"To set the owner's address and password, open within a week:\n{LINK}\n")
