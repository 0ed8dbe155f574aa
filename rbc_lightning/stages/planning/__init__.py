"""What `stage=plan` is made of: what has to be made, how long a step takes, what it all comes to."""
