"""Moves one request, gives one response, lets time pass. What it all means is decided in ``knowledge``."""
