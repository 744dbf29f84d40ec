"""The peer: FastAPI around the SavedModel, written as its users write it."""

import os

import tensorflow as tf
import uvicorn
from fastapi import FastAPI, UploadFile

app = FastAPI()
signatures = tf.saved_model.load(os.environ["SAVED_MODEL"]).signatures


@app.post("/{signature}")
def predict(signature: str, file: UploadFile) -> dict:
    outputs = signatures[signature](tf.constant([file.file.read()]))
    return {
        name: value.numpy().tolist() for name, value in outputs.items() if value.dtype != tf.string
    }


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning")
