"""Policies at the other end of a socket: a server, a client, and our tasks for the runner of vla-eval."""
