"""What is read of the database beside the switch: plain SQL, never more rows than were asked for."""
