"""Indexing failed documents again, from the content that Dify keeps."""
