"""The local stack: real servers from wheels, and every service, with one command."""
