"""A Trace comes in, an image goes out that shows why a picture was read as it was."""
