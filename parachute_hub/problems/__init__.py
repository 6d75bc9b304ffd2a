"""What is wrong with the hub right now: checks, and the list that pages, commands and notices share."""
