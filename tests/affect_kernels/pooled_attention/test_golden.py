"""Pooling and attention inside IFDD's last two blocks, against what the published code computed."""

import json

import numpy as np
import pytest
from scipy.special import erf

from affect_kernels.pool_norm import layer_norm
from affect_kernels.pool_norm import reference as plain_pool
from affect_kernels.pooled_attention import reference as plain_attention

TOLERANCE = 1e-5
EPS = 1e-6


def plain():
    return plain_pool, plain_attention


def compiled():
    from affect_kernels.pool_norm import cpu as pool
    from affect_kernels.pooled_attention import cpu as attention

    return pool, attention


@pytest.fixture(scope="module")
def folder(shared_golden):
    path = shared_golden / "ifdd"
    if not path.is_dir():
        pytest.skip("the golden data of IFDD is not on this machine")
    return path


@pytest.fixture(scope="module")
def weights(folder):
    """Tensors of blocks 8 and 9 and of the last norm, by their names."""
    with np.load(folder / "weights_q8.npz") as stored:
        exponents = json.loads(str(stored["__exps__"]))
        wanted = ("blocks.8.", "blocks.9.", "norm.")
        prefix = "backbone.backbone."
        return {
            name.removeprefix(prefix): np.ldexp(stored[name].astype(np.float32), -exponents[name])
            for name in stored.files
            if name.startswith(tuple(prefix + part for part in wanted))
        }


class Block:
    """One block, all but pooling and attention spelled out."""

    def __init__(self, weights, k):
        self.weights, self.prefix = weights, f"blocks.{k}."

    def __getitem__(self, name):
        return self.weights[self.prefix + name]

    def linear(self, name, x):
        return x @ self[f"{name}.weight"].T + self[f"{name}.bias"]

    def norm(self, name, x):
        return layer_norm(x, self[f"{name}.weight"], self[f"{name}.bias"], EPS)

    def __call__(self, x, forms, grid, stride):
        pool, attention = forms
        t, h, w = grid
        grid_q = (t, h // stride, w // stride)
        normed = self.norm("norm1", x)
        qkv = self.linear("attn.qkv", normed).reshape(1, x.shape[1], 3, 8, 96)
        pooled = []
        for part, name in enumerate(("attn.pool_q", "attn.pool_k", "attn.pool_v")):
            kernel = self[f"{name}.pool.weight"][:, 0].transpose(1, 2, 3, 0)
            norm = self[f"{name}.norm_act.0.weight"], self[f"{name}.norm_act.0.bias"]
            own = stride if part == 0 else 1  # keys and values have none in these blocks
            pooled.append(pool.pool_norm(qkv[:, :, part], kernel, *norm, grid, own))
        tables = tuple(self[f"attn.rel_pos_{axis}"] for axis in "thw")
        out = attention.pooled_attention(*pooled, tables, grid_q, grid)
        around = x
        if stride > 1:
            around = self.linear("project", normed)
            picture = around[:, 1:].reshape(t, h, w, -1)
            padded = np.pad(picture, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
            views = [padded[:, i : i + h : 2, j : j + w : 2] for i in range(3) for j in range(3)]
            patches = np.max(views, axis=0).reshape(1, -1, around.shape[2])
            around = np.concatenate([around[:, :1], patches], axis=1)
        y = around + self.linear("attn.project.0", out.reshape(1, out.shape[1], -1))
        hidden = self.linear("mlp.0", self.norm("norm2", y))
        return y + self.linear("mlp.3", hidden * (1 + erf(hidden / np.float32(np.sqrt(2)))) / 2)


def assert_close(found, wanted):
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= TOLERANCE * np.abs(wanted).max()


@pytest.mark.parametrize("form", [plain, compiled])
def test_the_last_two_blocks_give_the_published_tokens(form, folder, weights):
    forms = form()
    with np.load(folder / "clip0_seed11.npz") as golden:
        x = golden["stage2_full"]
        for k, grid, stride in ((8, (8, 14, 14), 2), (9, (8, 7, 7), 1)):
            x = Block(weights, k)(x, forms, grid, stride)
            step = (x.shape[1] - 1) // 49
            assert_close(x[:, 0], golden[f"block{k}_cls"])
            assert_close(x[:, 1::step][:, :49], golden[f"block{k}_tok_stride"])
            assert_close(x.mean(axis=1), golden[f"block{k}_mean_c"])
        last = layer_norm(x, weights["norm.weight"], weights["norm.bias"], EPS)
        assert_close(last, golden["stage3_norm"])
