"""Training of named architectures on videos: data, augmentation, early stopping, robust losses. Never imports Django."""
