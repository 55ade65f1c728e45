"""What the operators on apps are made of."""
