"""A model to use: the network or classical model of one run, in a folder, with all that is needed to ask it about new images.

model.safetensors   a network's weights by name; of a classical model the training images and labels, on which it is fitted again
model.json          what the weights belong to, see `description.Description`: classes, images, normalisation, the run, scores, …

No pickle is written or read. With PyTorch and safetensors alone a network can be used as follows; `layers` in the JSON is how
PyTorch prints it, and each weight has the name of its layer. For the model `article`, whose layers are two:

    import json, torch
    from safetensors.torch import load_file
    from torch.nn import functional as F

    facts, weights = json.load(open("model.json")), load_file("model.safetensors")
    mean, deviation = (torch.tensor(facts["normalisation"][name]).view(1, -1, 1, 1) for name in ("mean", "deviation"))
    x = (bytes_nchw / 255 - mean) / deviation                          # images.side pixels high and wide, 0 to 255
    hidden = F.relu(F.linear(x.flatten(1), weights["features.layers.0.weight"], weights["features.layers.0.bias"]))
    logits = F.linear(hidden, weights["head.weight"], weights["head.bias"])
    if facts["tau"] is not None:
        logits = logits - facts["tau"] * torch.tensor(facts["counts"]).log()
    probabilities = torch.softmax(logits / facts["temperature"], dim=1)    # in the order of classes
"""

from imagestudy.inference.export_onnx import write_onnx
from imagestudy.inference.files import require_output, writing
from imagestudy.inference.format import Description
from imagestudy.inference.load import SavedModel, load
from imagestudy.inference.save import save
