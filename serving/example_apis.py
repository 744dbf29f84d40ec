"""Classify, Regress and MultiInference: refused as TensorFlow Serving refuses them.

They need a signature made for them (input `inputs`, outputs `classes`/`scores` or `outputs`), and
the models of this project have none: all their signatures are for Predict.
"""

from typing import Any

from serving.errors import Code, ServingError, invalid_argument
from serving.servable import DEFAULT_SIGNATURE, Servable

CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"


def refuse_classify(servable: Servable, signature_name: str) -> ServingError:
    """Says why a signature cannot classify.

    Args:
        servable: the model.
        signature_name: the signature's; "": the default one.

    Returns:
        The error to answer with.

    Source: servables/tensorflow/classifier.cc.
    """
    signature = servable.signatures.get(signature_name or DEFAULT_SIGNATURE)
    if signature is None:
        return _no_signature(signature_name)
    return _classification_fault(signature)


def refuse_regress(servable: Servable, signature_name: str) -> ServingError:
    """Says why a signature cannot regress.

    Args:
        servable: the model.
        signature_name: the signature's; "": the default one.

    Returns:
        The error to answer with.

    Source: servables/tensorflow/regressor.cc.
    """
    signature = servable.signatures.get(signature_name or DEFAULT_SIGNATURE)
    if signature is None:
        return _no_signature(signature_name)
    return _regression_fault(signature)


def refuse_multi_inference(servable: Servable, tasks: Any) -> ServingError:
    """Says why tasks cannot be run.

    Args:
        servable: the first task's model.
        tasks: InferenceTask messages.

    Returns:
        The error to answer with.

    Source: servables/tensorflow/multi_inference.cc.
    """
    for task in tasks:
        if not task.model_spec.name:
            return invalid_argument("Found ModelSpec with an empty model name.")
        if task.model_spec.name != tasks[0].model_spec.name:
            return invalid_argument(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            )
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if name not in servable.signatures:
            return invalid_argument(f"Requested signature not found in model graph: {name}")
        if task.method_name == CLASSIFY_METHOD:
            return _classification_fault(servable.signatures[name])
        if task.method_name == REGRESS_METHOD:
            return _regression_fault(servable.signatures[name])
        return ServingError(
            Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}"
        )
    return invalid_argument("ModelSpec has no name specified.")


def _classification_fault(signature: Any) -> ServingError:
    if len(signature.inputs) != 1:
        return invalid_argument("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        return invalid_argument(
            f"Expected one or two output Tensors, found {len(signature.outputs)}"
        )
    if "inputs" not in signature.inputs:
        return invalid_argument(f"No classification inputs found in SignatureDef: {signature}")
    if not {"classes", "scores"} & set(signature.outputs):
        return invalid_argument(
            "Expected classification signature outputs to contain at least one of "
            f'"classes" or "scores". Signature was: {signature}'
        )
    return _unsupported("Classify")


def _regression_fault(signature: Any) -> ServingError:
    if len(signature.inputs) != 1:
        return invalid_argument("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        return invalid_argument("Expected one output Tensor.")
    if "inputs" not in signature.inputs:
        return invalid_argument(f"No regression inputs found in SignatureDef: {signature}")
    if "outputs" not in signature.outputs:
        return invalid_argument(f"No regression outputs found in SignatureDef: {signature}")
    return _unsupported("Regress")


def _no_signature(name: str) -> ServingError:
    return invalid_argument(f"No signature was found with the name: {name or DEFAULT_SIGNATURE}")


def _unsupported(api: str) -> ServingError:
    return ServingError(
        Code.UNIMPLEMENTED, f"{api} is not supported by the embedded server; use Predict"
    )
