"""Mail to people, by SMTP; without SMTP settings it stays here and the owner reads it."""
