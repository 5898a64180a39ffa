"""A scripted model behind the real wire formats. See ../README.md."""
