"""What all operators are built on."""
