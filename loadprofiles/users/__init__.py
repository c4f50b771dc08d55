"""What the users of a load are made of: sessions, rooms, files, and who is counted."""
