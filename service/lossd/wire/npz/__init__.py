"""npz: a ZIP archive of .npy files."""
