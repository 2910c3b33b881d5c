"""A Keras network through Keras' own exporter, whose backend decides what comes out: tf2onnx's style or PyTorch's.

Run it once a backend, each in an environment of its own::

    pip install tensorflow-cpu keras tf2onnx onnx onnxruntime
    KERAS_BACKEND=tensorflow python tests/data/export_keras.py

    pip install 'torch==2.13.0' keras onnxscript onnx onnxruntime
    KERAS_BACKEND=torch python tests/data/export_keras.py
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np
import onnx
from keras import layers
from recording import save

SAMPLES = 5


def network() -> keras.Model:
    """Build a channels-last network: paddings that differ by side, and a Flatten whose order depends on the layout."""
    image = keras.Input((12, 12, 3), name="image")
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(image)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(max_value=6)(x)
    y = layers.DepthwiseConv2D(3, padding="same")(x)
    y = layers.Activation("relu")(y)
    y = layers.Conv2D(8, 1)(y)
    x = layers.Add()([x, y])
    y = layers.MaxPooling2D(2)(x)
    y = layers.UpSampling2D(2)(y)
    x = layers.Concatenate()([x, y])
    x = layers.ZeroPadding2D(((1, 0), (0, 1)))(x)
    x = layers.Conv2D(4, 2, strides=2, activation="leaky_relu")(x)
    x = layers.AveragePooling2D(2, padding="same")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(6, activation="swish")(x)
    return keras.Model(image, layers.Dense(4, activation="softmax", name="scores")(x))


def main() -> None:
    """Write the file of this backend."""
    backend = keras.backend.backend()
    model = network()
    rng = np.random.default_rng(11)
    for weight in model.weights:
        low, high = (0.3, 2.0) if "variance" in weight.path or "gamma" in weight.path else (-0.5, 0.5)
        weight.assign(rng.uniform(low, high, size=weight.shape).astype(np.float32))
    image = (rng.integers(-64, 65, size=(SAMPLES, 12, 12, 3)) / 32).astype(np.float32)
    scores = np.asarray(model.predict(image, verbose=0))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        model.export(path, format="onnx", verbose=False)
        exported = onnx.load(path)
    save(f"keras_{backend}_image", exported, {"image": image}, {exported.graph.output[0].name: scores})


if __name__ == "__main__":
    main()
