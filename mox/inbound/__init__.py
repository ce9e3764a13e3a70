"""What comes in: recipients, judgement, delivery."""
