"""Syncs the documents of a knowledge base with a folder."""
