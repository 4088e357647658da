"""From a catalog entry to a network that runs and the layers of its optical path.

sources: who brings architectures and published weights; references: what `timm:*resnet*` stands for.
resolve, identity: what an entry leaves out, and a key; weights, embedded: found, proven, read.
build, preprocess: the module, its input. trace: a forward pass written down; traits: what operations do;
optical_path: the layers the whole signal passes; head: the classes it predicts.
taps: activations out of a network that is left as it is; outputs: which of what it returns are logits;
proof: what it must show before any cell; fold: batch norms into convolutions.
padding: maps that go on beyond their edge; reestimate: batch norms that fit what a changed network sees.
"""
