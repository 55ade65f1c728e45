"""Exports a knowledge base into a folder: contents and a manifest of names, flags, metadata and settings."""
