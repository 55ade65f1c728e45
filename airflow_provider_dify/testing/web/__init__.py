"""The socket, and what happens to requests on their way: the record of them, faults, and the time they take."""
