"""What each part of the recipe is worth: the same training with one thing changed."""
