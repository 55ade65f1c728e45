"""What Dify's Knowledge API means, without I/O: conversations are generators that ask for what they need."""
