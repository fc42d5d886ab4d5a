"""MessagePack: the object that JSON has too, with arrays as bytes."""
