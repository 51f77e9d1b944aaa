"""What the methods share: base classes, encoders of raw data, linear algebra, kernel machines."""
