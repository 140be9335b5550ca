"""What others have written down, as scenarios."""
