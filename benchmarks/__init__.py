"""What this provider costs: in time, requests, memory and imports, against the built-in Dify."""
