"""Chat completions that were asked to be kept (`store: true`): the raw material of evals and distillation."""
