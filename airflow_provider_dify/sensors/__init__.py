"""Sensors: they wait for something that happens in Dify."""
