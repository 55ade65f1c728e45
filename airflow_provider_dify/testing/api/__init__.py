"""Dify's Knowledge API (https://docs.dify.ai/api-reference): routes, checks, and the JSON of its answers."""
