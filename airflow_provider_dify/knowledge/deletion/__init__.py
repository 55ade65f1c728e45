"""Deleting documents."""
