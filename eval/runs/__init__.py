"""What is done with finished runs: grade them again, have a model judge them, export them."""
