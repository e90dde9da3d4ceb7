"""How the complexity model that the sidecar ships is made: `make train DATA=folder`."""
