"""Apps: workflows and chat apps that are Python functions, their runs, and the endpoints for them."""
