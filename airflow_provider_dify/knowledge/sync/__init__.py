"""Keeping the documents of a knowledge base in step with a folder."""
