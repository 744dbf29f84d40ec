"""VGG-16 fine-tuned as a good Keras tutorial does it: `python -m benchmarks.peers.plain_keras`.

Train, val and test folders of classes in; prints `trained` once the best weights are on disk, then
writes the test films' probabilities and labels. Every epoch runs through all blocks.
"""

import argparse
import os
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from components.model import imagenet
from components.names import CLASSES

_SIZE, _BATCH = 224, 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("scores", type=Path, help="file for the test films' probabilities (.npz)")
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    keras.utils.set_random_seed(20)

    train = films(options.data / "train", shuffle=True)
    model = vgg16()
    counts = [len(list((options.data / "train" / name).iterdir())) for name in CLASSES]
    best = options.scores.with_suffix(".weights.h5")
    model.fit(
        train.prefetch(tf.data.AUTOTUNE),
        validation_data=films(options.data / "val").cache().prefetch(tf.data.AUTOTUNE),
        epochs=options.epochs,
        class_weight={label: sum(counts) / (2 * count) for label, count in enumerate(counts)},
        callbacks=[
            keras.callbacks.ModelCheckpoint(
                best, "val_auc", mode="max", save_best_only=True, save_weights_only=True
            )
        ],
        verbose=2 if os.environ.get("VERBOSE") else 0,
    )
    print("trained", flush=True)
    model.load_weights(best)
    test = films(options.data / "test")
    labels = np.concatenate([labels for _, labels in test]).ravel()
    probability = model.predict(test, verbose=0).ravel()
    np.savez(options.scores, probability=probability, labels=labels)


def films(folder: Path, shuffle: bool = False) -> tf.data.Dataset:
    return keras.utils.image_dataset_from_directory(
        folder,
        label_mode="binary",
        class_names=list(CLASSES),
        image_size=(_SIZE, _SIZE),
        batch_size=_BATCH,
        shuffle=shuffle,
        seed=20,
        verbose=False,
    )


def vgg16() -> keras.Model:
    """ImageNet's weights, frozen to block 4; the same head and optimizer as the product's."""
    base = keras.applications.VGG16(include_top=False, weights=None)
    weights = imagenet.load().arrays
    for layer in base.layers:
        if layer.weights:
            layer.set_weights([weights[f"{layer.name}/{part}"] for part in ("kernel", "bias")])
        layer.trainable = layer.name.startswith("block5")
    model = keras.Sequential(
        [
            keras.Input((_SIZE, _SIZE, 3)),
            keras.layers.Lambda(keras.applications.vgg16.preprocess_input),
            base,
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(1, "sigmoid"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(1e-4),
        "binary_crossentropy",
        metrics=[keras.metrics.AUC(name="auc")],
        jit_compile=False,  # on processors XLA leaves oneDNN out: several times slower
    )
    return model


if __name__ == "__main__":
    main()
