"""What each command does. A module here is imported only when its command is given."""
