"""What a run or a sweep would cost."""
