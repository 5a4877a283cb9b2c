"""One module a kind of camera. `device.camera.open_camera` chooses among them."""
