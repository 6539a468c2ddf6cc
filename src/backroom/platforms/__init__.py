"""What runs the brokers behind an instance. Only bootstrap imports it."""
