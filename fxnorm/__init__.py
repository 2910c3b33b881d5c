"""fxnorm."""
