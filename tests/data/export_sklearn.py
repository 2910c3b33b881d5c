"""Iris through skl2onnx: networks of plain ONNX operators, and models that need the ai.onnx.ml domain.

Run ``python tests/data/export_sklearn.py`` after ``pip install scikit-learn skl2onnx onnx onnxruntime``.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from recording import Arrays, save
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SAMPLES = 5


def main() -> None:
    """Write every file."""
    features, classes = load_iris(return_X_y=True)
    features = features.astype(np.float32)
    target = features[:, :2].sum(axis=1)
    rows = np.random.default_rng(5).choice(len(features), SAMPLES, replace=False)
    inputs = {"X": features[rows]}

    def write(name: str, model: Any, outputs: Arrays, **how: Any) -> None:
        save(name, to_onnx(model, features[:1], target_opset={"": 17, "ai.onnx.ml": 3}, **how), inputs, outputs)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an early end is good enough here
        small: dict[str, Any] = {"hidden_layer_sizes": (8, 5), "max_iter": 200, "random_state": 0, "solver": "lbfgs"}
        plain = MLPRegressor(**small).fit(features, target)
        scaled = make_pipeline(StandardScaler(), PCA(3), MLPRegressor(activation="tanh", **small)).fit(features, target)
        classifier = MLPClassifier(activation="logistic", **small).fit(features, classes)
        logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)).fit(features, classes)

    def value(model: Any) -> Arrays:
        return {"variable": model.predict(inputs["X"]).astype(np.float32)[:, None]}

    def scores(model: Any) -> Arrays:
        return {
            "label": model.predict(inputs["X"]).astype(np.int64),
            "probabilities": model.predict_proba(inputs["X"]).astype(np.float32),
        }

    write("sklearn_mlp_regressor", plain, value(plain))
    write("sklearn_scaler_pca_mlp", scaled, value(scaled))
    # Forbidden the Scaler operator of ai.onnx.ml, the converter writes a subtraction and a division.
    write("sklearn_scaler_pca_mlp_plain", scaled, value(scaled), black_op={"Scaler"})
    write("sklearn_mlp_classifier", classifier, scores(classifier), options={"zipmap": False})
    write("sklearn_logistic", logistic, scores(logistic), options={"zipmap": False})


if __name__ == "__main__":
    main()
