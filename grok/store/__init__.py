"""What is in a results folder, and after which update it was kept."""
