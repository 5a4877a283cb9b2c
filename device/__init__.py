"""What runs on the board: camera -> frame -> preprocess -> classifier -> decision -> sinks."""
