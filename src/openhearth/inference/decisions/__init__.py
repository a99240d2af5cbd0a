"""Classification and scoring by a chat model's own log-probabilities."""
