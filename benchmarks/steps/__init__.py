"""What meta_step times: its problems and shapes, the peers, and their memory."""
