"""Triggers: they wait in the triggerer, without occupying a worker."""
