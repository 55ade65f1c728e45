"""What makes search follow the flags: the worker, its queue, and the whole of Dify behind its API."""
