"""`/sandbox/v1`: what a test or a person does to this little Microsoft from behind. It has no sign-in: loopback only."""
