"""What others have written down, as scenarios: public traces, a live cluster. Every loss is told and counted."""
