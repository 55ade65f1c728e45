"""Exporting a knowledge base: every content, name, flag and setting into a folder, with a manifest."""
