"""Searching a knowledge base, and checking what it returns."""
