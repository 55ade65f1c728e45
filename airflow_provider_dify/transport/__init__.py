"""Moves bytes and lets time pass: one request, one response. ``knowledge`` decides what they mean."""
