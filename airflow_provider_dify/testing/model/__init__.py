"""What a Dify holds: knowledge bases, documents, segments, metadata, and what search goes through."""
