"""One module for each command: it gathers, calls the pure parts, and prints. Imported when its command runs."""
