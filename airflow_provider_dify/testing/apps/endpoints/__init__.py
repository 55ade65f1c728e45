"""The endpoints that the key of an app opens (https://docs.dify.ai/api-reference)."""
