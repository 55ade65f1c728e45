"""Operators for documents of Dify knowledge bases."""
