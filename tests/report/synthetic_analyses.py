"""Analyses that look real for `synthetic.study`; every number is drawn, none is measured."""

from __future__ import annotations

import math

import numpy as np


def correlation(rho, n, p=None):
    if n < 4:
        return {"rho": None, "low": None, "high": None, "p": None, "n": n}
    half = 1.96 / math.sqrt(n)
    return {
        "rho": rho,
        "low": max(-1.0, rho - half),
        "high": min(1.0, rho + half),
        "p": p if p is not None else 0.03,
        "n": n,
    }


def condensed(models, values, by):
    groups = ["baseline" if m["baseline"] else str(m[by]) for m in models]
    names = sorted(set(groups), key=lambda g: (g == "baseline", g))

    def block(a, b, reduce):
        cells = [
            values[i, j]
            for i in range(len(models))
            for j in range(len(models))
            if i != j and groups[i] == a and groups[j] == b
        ]
        return reduce(cells)

    def table(reduce):
        return [[block(a, b, reduce) for b in names] for a in names]

    mean = lambda c: float(np.mean(c)) if c else None  # noqa: E731
    return {
        "label": "cknna",
        "by": by,
        "groups": names,
        "means": table(mean),
        "counts": table(lambda c: len(c)),
        "low": table(lambda c: float(np.mean(c)) - 0.03 if c else None),
        "high": table(lambda c: float(np.mean(c)) + 0.03 if c else None),
    }


def convergence(models, values, rng, label="energy MAE, eV/atom"):
    real = [i for i, m in enumerate(models) if not m["baseline"]]
    worth = {
        i: float(0.05 + 0.3 * (1 - values[i, real].mean()) + rng.normal(0, 0.01)) for i in real
    }
    best = min(worth, key=worth.get)
    points = [
        {
            "name": models[i]["name"],
            "performance": worth[i],
            "alignment": float(values[i, best]),
            "low": float(values[i, best]) - 0.02,
            "high": float(values[i, best]) + 0.02,
            "parameters": models[i]["parameters"],
            "family": models[i]["family"],
        }
        for i in real
    ]
    return {
        "label": "cknna",
        "performance_label": label,
        "lower_is_better": True,
        "best": models[best]["name"],
        "points": points,
        "correlation": correlation(-0.81, len(real) - 1, 0.004),
        "within": {"SevenNet": correlation(-0.9, 3), "CHGNet": correlation(None, 2)},
        "trends": {
            "parameters": correlation(0.21, len(real) - 1, 0.5),
            "training_size": correlation(-0.1, len(real) - 1, 0.8),
        },
    }


def planes(models, scores):
    found = []
    for label in (one for one in scores if one.startswith("information_imbalance")):
        values = scores[label].values
        points = []
        for i, a in enumerate(models):
            for j in range(i + 1, len(models)):
                b = models[j]
                points.append(
                    {
                        "a": a["name"],
                        "b": b["name"],
                        "x_to_y": values[i, j].item(),
                        "y_to_x": values[j, i].item(),
                        "color": {
                            m: scores[m].values[i, j].item()
                            for m in ("cknna", "distance_correlation", "id_correlation")
                        },
                        "same_data": a["training_data"] == b["training_data"],
                        "same_architecture": a["architecture"] == b["architecture"],
                    }
                )
        found.append({"label": label, "points": points})
    return found


def locality(models, values, n_samples):
    ks = [k for k in (2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500) if k < n_samples // 2]
    pairs = [
        {
            "a": a["name"],
            "b": models[j]["name"],
            "values": [float(values[i, j] ** (1 - 0.08 * math.log10(k))) for k in ks],
        }
        for i, a in enumerate(models)
        for j in range(i + 1, len(models))
    ]
    return {
        "ks": ks,
        "pairs": pairs,
        "rank_correlation": [1 - 0.02 * abs(math.log(k / 25)) for k in ks],
        "against": {"distance_correlation": correlation(0.83, len(pairs), 0.001)},
    }


def dimension(models, scores):
    labels = ["twonn", "dimension_mle"]
    return {
        "methods": [
            {"label": "twonn", "title": "TwoNN", "k": 2},
            {"label": "dimension_mle", "title": "MLE", "k": 50},
        ],
        "models": [
            {
                "name": m["name"],
                "embedding": m["embedding"],
                "values": [float(scores[one].values[i]) for one in labels],
            }
            for i, m in enumerate(models)
        ],
    }


def tree(models, values):
    """A caterpillar of hubs, one per modality, with the models around them."""
    n = len(models)
    kinds = sorted({m["modality"] for m in models})
    nodes, edges = [], []
    for h, kind in enumerate(kinds):
        angle = 2 * math.pi * h / len(kinds)
        hub = n + h
        hx, hy = math.cos(angle), math.sin(angle)
        members = [i for i, m in enumerate(models) if m["modality"] == kind]
        nodes.append({"id": hub, "name": None, "x": hx, "y": hy})
        edges.append({"from": n + len(kinds), "to": hub, "length": 1.0})
        for place, i in enumerate(members):
            turn = angle + (place - (len(members) - 1) / 2) * min(0.35, 2.2 / len(members))
            reach = 0.5 + 0.2 * (place % 3)
            nodes.append(
                {
                    "id": i,
                    "name": models[i]["name"],
                    "x": hx + reach * math.cos(turn),
                    "y": hy + reach * math.sin(turn),
                }
            )
            edges.append({"from": hub, "to": i, "length": reach})
    nodes.append({"id": n + len(kinds), "name": None, "x": 0.0, "y": 0.0})
    names = [m["name"] for m in models]
    newick = "(" + ",".join(f"'{name}':0.1" for name in names) + ");"
    return {
        "label": "cknna",
        "newick": newick,
        "names": names,
        "nodes": nodes,
        "edges": edges,
        "distances": (1 - values).tolist(),
    }


def maps(models, rng, n_points=300):
    energy = rng.normal(0, 1, n_points)
    found = []
    for m in models[:8]:
        turn = rng.uniform(0, math.pi)
        xy = np.stack([energy * math.cos(turn), energy * math.sin(turn)], 1)
        xy += rng.normal(0, 0.5, xy.shape)
        points = [
            {"id": f"s{i}", "x": round(float(x), 3), "y": round(float(y), 3), "color": float(e)}
            for i, ((x, y), e) in enumerate(zip(xy, energy, strict=True))
        ]
        found.append(
            {
                "kind": "samples",
                "name": m["name"],
                "method": "UMAP",
                "points": points,
                "colored_by": "energy_ev",
            }
        )
    spots = rng.normal(0, 1, (len(models), 2))
    points = [
        {"name": m["name"], "x": float(x), "y": float(y), "color": m["modality"]}
        for m, (x, y) in zip(models, spots, strict=True)
    ]
    found.append(
        {"kind": "models", "method": "metric MDS", "points": points, "colored_by": "modality"}
    )
    return found


def recommendation(models, values):
    real = [i for i, m in enumerate(models) if not m["baseline"]]

    def candidates(t):
        order = sorted((i for i in real if i != t), key=lambda i: -values[t, i])[:5]
        return [
            {
                "name": models[i]["name"],
                "score": float(values[t, i]),
                "low": float(values[t, i]) - 0.02,
                "high": float(values[t, i]) + 0.02,
                "parameters": models[i]["parameters"],
                "seconds_per_1k": models[i]["seconds_per_1k"],
            }
            for i in order
        ]

    return {
        "label": "cknna",
        "targets": [{"target": models[t]["name"], "candidates": candidates(t)} for t in real],
        "local_optima": [
            {
                "name": models[real[-1]]["name"],
                "performance": 0.08,
                "mean_alignment": 0.11,
                "low": 0.09,
                "high": 0.13,
                "reason": "performance in the better half, alignment below the first quartile",
            }
        ],
    }


def layers(models, rng):
    a, b = models[0]["name"], models[2]["name"]
    rows, columns = [f"conv {i}" for i in range(5)], [f"{i}_equivariant_gate" for i in range(6)]
    values = rng.uniform(0.1, 0.5, (5, 6)) + np.linspace(0, 0.3, 6)
    i, j = np.unravel_index(values.argmax(), values.shape)
    return {
        "a": a,
        "b": b,
        "label": "cknna",
        "layers_a": rows,
        "layers_b": columns,
        "values": values.tolist(),
        "calibrated": np.clip(values - 0.05, 0, 1).tolist(),
        "best": {
            "layer_a": rows[i],
            "layer_b": columns[j],
            "value": float(values[i, j]),
            "calibrated": float(values[i, j]) - 0.06,
            "p": 0.005,
        },
    }


def partition():
    return {
        "label": "cknna",
        "shared": 0.2,
        "residual": 0.35,
        "n_pairs": 190,
        "factors": [
            {
                "name": "training data",
                "share_alone": 0.31,
                "share_unique": 0.05,
                "p": 0.08,
                "p_alone": 0.001,
            },
            {
                "name": "architecture",
                "share_alone": 0.28,
                "share_unique": 0.03,
                "p": 0.21,
                "p_alone": 0.001,
            },
            {
                "name": "modality",
                "share_alone": 0.47,
                "share_unique": 0.19,
                "p": 0.001,
                "p_alone": 0.001,
            },
        ],
    }
