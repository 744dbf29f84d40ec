"""Pure image functions, graph operations that plain TensorFlow Serving runs, one image at a time.

Where nothing else is said, an image is grey: float32[H,W] or uint8[H,W] in 0..255.
"""
