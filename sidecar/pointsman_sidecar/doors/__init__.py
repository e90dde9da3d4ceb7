"""Where apps come in. A door translates between its protocol and `Completions`, and decides nothing."""
