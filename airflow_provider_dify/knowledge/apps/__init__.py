"""Apps: running workflows, asking chat apps, and checking their answers."""
