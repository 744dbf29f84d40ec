"""What was asked and answered, in TensorFlow Serving's PredictionLog records on disk.

The embedded server writes it (`logging_config`), and for TensorFlow Serving, which cannot, the
client, the web page and the gateway do (`--log`).
"""
