"""The parts of the operators on apps."""
