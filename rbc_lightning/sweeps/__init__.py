"""Many runs at once, each a job in a process of its own."""
