"""What a run costs as the data grows."""
