"""The demo: real footage, a virtual camera that moves over it, and a classifier that names the movement."""
