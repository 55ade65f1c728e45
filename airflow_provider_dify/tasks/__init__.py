"""How tasks run: what operators and sensors are built on."""
