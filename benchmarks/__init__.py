"""What this provider costs in time, requests, memory and imports, measured against the built-in Dify."""
