"""How tasks on apps run."""
