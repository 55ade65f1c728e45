"""Triggers: what waits in the triggerer, where it holds no worker."""
