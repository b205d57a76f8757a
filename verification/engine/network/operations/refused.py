"""What is refused under a name that people know, with advice. Everything else without a rule is refused by its own name."""

from verification.engine.network.lowering import Lowering, lowers

_NORMALISE = "normalise with batch normalisation, whose scale in eval mode is constant"
_REFUSED = {
    "aten.native_layer_norm.default": ("a layer normalisation, which divides by a deviation of the clip", _NORMALISE),
    "aten.native_group_norm.default": ("a group normalisation, which divides by a deviation of the clip", _NORMALISE),
    "aten._native_batch_norm_legit.no_stats": (
        "a normalisation (instance normalisation, or batch normalisation without running statistics) that divides by a "
        "deviation of the clip",
        _NORMALISE + ", or track running statistics",
    ),
    "aten.rms_norm.default": ("a root-mean-square normalisation, which divides by a norm of the clip", _NORMALISE),
    "aten.linalg_vector_norm.default": ("a norm of values of the clip", _NORMALISE),
    "aten.var.correction": ("a variance of values of the clip", _NORMALISE),
    "aten.scaled_dot_product_attention.default": (
        "attention, whose weights depend on the clip",
        "join the frames by a recurrent layer, a convolution over time or a mean",
    ),
    "aten._softmax.default": (
        "a softmax before the last operation",
        "let the network end with the logits; a softmax at its very end is dropped",
    ),
    "aten._log_softmax.default": (
        "a log-softmax before the last operation",
        "let the network end with the logits; a log-softmax at its very end is dropped",
    ),
    "cond": ("control flow that depends on the clip", "compute both branches, or choose before exporting"),
    "while_loop": ("a loop whose length depends on the clip", "unroll the loop"),
}


def _register(target: str, what: str, advice: str) -> None:
    @lowers(target)
    def _refuse(graph: Lowering, *_: object, **__: object) -> None:
        graph.refuse(what, advice)


for _target, (_what, _advice) in _REFUSED.items():
    _register(_target, _what, _advice)
