"""What a part of a study says to each question, one question a file."""
