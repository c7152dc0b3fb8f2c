"""What rows look like in the wild. ``recognise`` names the shape of a row by its columns."""
