"""Save, load and use trained models. A saved model is a folder with everything needed to classify new images.

model.safetensors   the weights of a network by name; for a classical model, the training images and labels to fit it again
model.json          the description of the model, see `format.Description`: classes, images, normalization, run, scores, …

No pickle is written or read. You can use a saved network with PyTorch and safetensors alone. The entry `layers` in the JSON lists
the layers as PyTorch prints them, and each weight has the name of its layer. For example, the model `article` has two layers:

    import json, torch
    from safetensors.torch import load_file
    from torch.nn import functional as F

    facts, weights = json.load(open("model.json")), load_file("model.safetensors")
    mean, deviation = (torch.tensor(facts["normalisation"][name]).view(1, -1, 1, 1) for name in ("mean", "deviation"))
    x = (bytes_nchw / 255 - mean) / deviation                          # height and width images.side, values 0 to 255
    hidden = F.relu(F.linear(x.flatten(1), weights["features.layers.0.weight"], weights["features.layers.0.bias"]))
    logits = F.linear(hidden, weights["head.weight"], weights["head.bias"])
    if facts["tau"] is not None:
        logits = logits - facts["tau"] * torch.tensor(facts["counts"]).log()
    probabilities = torch.softmax(logits / facts["temperature"], dim=1)    # columns in the order of classes
"""

from imagestudy.inference.export_onnx import write_onnx
from imagestudy.inference.files import require_output, writing
from imagestudy.inference.format import Description
from imagestudy.inference.load import SavedModel, load
from imagestudy.inference.save import save
