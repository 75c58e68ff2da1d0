"""Where tasks come from: arrays, files and folders."""
