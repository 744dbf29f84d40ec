"""The web page: X-rays in by drag and drop, decisions and heat maps out; nothing is stored."""
