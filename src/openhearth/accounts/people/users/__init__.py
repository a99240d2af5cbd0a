"""Users of the organization, as its owners manage them."""
