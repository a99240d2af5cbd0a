"""What `/v1/organization/usage/...` and `/v1/organization/costs` tell."""
