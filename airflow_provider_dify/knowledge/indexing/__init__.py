"""Waiting until documents are indexed or available."""
