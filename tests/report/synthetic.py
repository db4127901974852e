"""A study of three parts that looks like a real one; every number is drawn, none is measured."""

from __future__ import annotations

import math

import numpy as np

from consilience.study.result import Part, StudyResult
from consilience.study.score_matrix import ScoreMatrix, Scores
from report import synthetic_analyses as analysis

# name, modality, family, architecture, embedding, training data, parameters
MOLECULES = (
    ("chgnet-0.3.0", "3D", "CHGNet", "GNN with angles", "invariant", "MPtrj", 412_525),
    ("chgnet-r2scan", "3D", "CHGNet", "GNN with angles", "invariant", "MP r2SCAN", 412_525),
    ("sevennet-0", "3D", "SevenNet", "equivariant GNN", "equivariant", "MPtrj", 842_000),
    ("sevennet-l3i5", "3D", "SevenNet", "equivariant GNN", "equivariant", "MPtrj", 1_171_000),
    ("sevennet-mf-0", "3D", "SevenNet", "equivariant GNN", "equivariant", "MPtrj", 1_200_000),
    ("aimnet2-wb97m", "3D", "AIMNet2", "message passing", "invariant", "AIMNet2", 2_300_000),
    ("aimnet2-b973c", "3D", "AIMNet2", "message passing", "invariant", "AIMNet2", 2_300_000),
    ("diep-matpes-r2scan", "3D", "DIEP", "GNN", "invariant", "MatPES", 300_000),
    ("so3lr", "3D", "SO3krates", "transformer", "equivariant", "SO3LR", 1_900_000),
    ("minimol", "graph", "MiniMol", "GINE", "invariant", "LargeMix", 10_000_000),
    ("admet-ai-dmpnn", "graph", "Chemprop", "D-MPNN", "invariant", "TDC ADMET", 1_100_000),
    ("rxnfp-pretrained", "string", "rxnfp", "transformer", "vanilla", "USPTO", 6_600_000),
    ("rxnfp-ft-mlm", "string", "rxnfp", "transformer", "vanilla", "USPTO", 6_600_000),
    ("rxnmapper", "string", "rxnmapper", "transformer", "vanilla", "USPTO", 770_000),
    ("chemnet", "string", "ChemNet", "LSTM", "vanilla", "ChEMBL", 5_100_000),
    ("annalog-encoder", "string", "ANNalog", "transformer", "vanilla", "ChEMBL", 41_000_000),
    ("minilm-l6", "language", "MiniLM", "transformer", "vanilla", "web text", 22_700_000),
    (
        "smollm2-135m/system-prompt",
        "language",
        "SmolLM2",
        "transformer",
        "vanilla",
        "web text",
        135_000_000,
    ),
    (
        "smollm2-135m/blank",
        "language",
        "SmolLM2",
        "transformer",
        "vanilla",
        "web text",
        135_000_000,
    ),
    (
        "gemma3-270m-instruction-tuned-q4-k-m",
        "language",
        "Gemma 3",
        "transformer",
        "vanilla",
        "web text",
        270_000_000,
    ),
    ("random-gnn", "baseline", "random", "GNN", "baseline", None, 100_000),
    ("random-transformer", "baseline", "random", "transformer", "baseline", None, 100_000),
    ("morgan-2048", "baseline", "RDKit", "fingerprint", "baseline", None, None),
    ("rdkit-descriptors", "baseline", "RDKit", "descriptors", "baseline", None, None),
    ("gaussian-noise", "baseline", "random", "none", "baseline", None, None),
)
MATERIALS = (
    *MOLECULES[:5],
    MOLECULES[7],
    ("hienet-v3", "3D", "HIENet", "equivariant GNN", "equivariant", "MPtrj", 6_000_000),
    ("mace-mp-small", "3D", "MACE", "equivariant GNN", "equivariant", "MPtrj", 3_800_000),
    ("orb-v3-direct", "3D", "Orb", "GNN", "vanilla", "OMat24", 25_000_000),
    MOLECULES[20],
    MOLECULES[24],
)
PROTEINS = (
    ("proteinmpnn-vanilla", "structure", "ProteinMPNN", "MPNN", "invariant", "CATH", 1_660_000),
    ("proteinmpnn-soluble", "structure", "ProteinMPNN", "MPNN", "invariant", "PDB", 1_660_000),
    ("proteinmpnn-ca", "structure", "ProteinMPNN", "MPNN", "invariant", "PDB", 1_620_000),
    ("unirep-64", "sequence", "UniRep", "mLSTM", "vanilla", "UniRef50", 400_000),
    ("unirep-256", "sequence", "UniRep", "mLSTM", "vanilla", "UniRef50", 1_500_000),
    ("unirep-1900", "sequence", "UniRep", "mLSTM", "vanilla", "UniRef50", 18_200_000),
    ("antiberty", "sequence", "AntiBERTy", "transformer", "vanilla", "OAS", 26_000_000),
    ("random-sequence", "baseline", "random", "none", "baseline", None, None),
)
KEYS = ("modality", "family", "architecture", "embedding", "training_data", "parameters")


def facts_of(row, rng):
    name, *values = row
    known = dict(zip(KEYS, values, strict=True))
    return {
        "name": name,
        "baseline": known["modality"] == "baseline",
        **known,
        "theory": "PBE(+U)" if known["training_data"] == "MPtrj" else None,
        "training_size": None
        if known["training_data"] is None
        else int(rng.integers(1, 99)) * 10**5,
        "license": "MIT",
        "weights": f"package {name.split('-')[0]} 1.0",
        "package": f"{name.split('-')[0]}==1.0",
        "width": int(rng.choice([64, 128, 256, 512])),
        "summary": f"{known['family']} embeddings of the last hidden layer",
        "seconds": round(float(rng.uniform(1, 200)), 1),
        "n_samples": 5000,
        "seconds_per_1k": round(float(rng.uniform(2, 100)), 1),
    }


def similarity(models, rng):
    """Closer by modality, family and training data; a baseline is like nothing."""
    n = len(models)
    base = np.zeros((n, n))
    skill = rng.uniform(0.55, 1.0, n)
    for i, a in enumerate(models):
        for j, b in enumerate(models):
            shared = sum(
                w * (a[k] == b[k])
                for k, w in (("modality", 0.2), ("family", 0.22), ("training_data", 0.15))
            )
            base[i, j] = (0.18 + shared) * skill[i] * skill[j]
            if a["baseline"] or b["baseline"]:
                base[i, j] = 0.02
    base += np.tril(rng.uniform(0, 0.03, (n, n)), -1)
    base = np.tril(base, -1)
    return base + base.T + np.eye(n)


def scores_of(models, n_samples, rng):
    n = len(models)
    own = np.eye(n, dtype=bool)
    sim = similarity(models, rng)

    def blank(value):
        return np.where(own, math.nan, value)

    def noise(scale):
        drawn = np.triu(rng.normal(0, scale, (n, n)), 1)
        return drawn + drawn.T

    def judged(values, mean, std):
        z = (values - mean) / std
        p = np.clip(np.exp(-np.abs(z)), 0.001, 1.0)
        tau = mean + 1.7 * std
        calibrated = np.clip((values - tau) / (1 - tau), 0, 1)
        return {"p_value": blank(p), "calibrated": blank(calibrated)}

    found = []

    def pair(label, metric, settings, values, mean, std, error, bounds=(0.0, 1.0), lower=False):
        values = np.clip(values, *bounds)
        np.fill_diagonal(values, 1.0)
        extra = judged(values, mean, std) if mean is not None else {}
        found.append(
            Scores(
                label,
                metric,
                "pair",
                settings,
                bounds,
                True,
                values,
                None if mean is None else blank(mean),
                None if std is None else blank(std),
                blank(error),
                **extra,
            )
        )

    k = min(25, n_samples // 5)
    pair("cknna", "cknna", {"k": k, "variant": "paper"}, sim, 0.012, 0.004, 0.008)
    pair(
        "mutual_knn", "mutual_knn", {"k": 10}, sim * 0.8 + noise(0.01), 10 / n_samples, 0.002, 0.01
    )
    pair("cka", "cka", {"kernel": "linear"}, sim**0.6 + noise(0.03), 0.02, 0.01, 0.02)
    pair(
        "distance_correlation",
        "distance_correlation",
        {"unbiased": False},
        np.maximum(sim**0.5 + noise(0.02), 0.2),
        0.15,
        0.01,
        0.01,
    )
    pair(
        "distance_correlation[unbiased]",
        "distance_correlation",
        {"unbiased": True},
        sim**1.1 + noise(0.02),
        0.0,
        0.01,
        0.01,
        (-1.0, 1.0),
    )
    pair(
        "id_correlation",
        "id_correlation",
        {"permutations": 100},
        sim + noise(0.05),
        0.05,
        0.03,
        0.02,
        (-math.inf, 1.0),
    )
    for near in (50, 200, 500):
        if near >= n_samples:
            continue
        lack = np.clip(1.0 - sim + rng.normal(0, 0.04, (n, n)), 0.02, 1.05)
        np.fill_diagonal(lack, near / n_samples)
        found.append(
            Scores(
                f"information_imbalance[k={near}]",
                "information_imbalance",
                "directed",
                {"k": near},
                (0.0, 2.0),
                False,
                lack,
                std_error=blank(0.01),
            )
        )
    twonn = np.array([30.0 if m["baseline"] else rng.uniform(4, 12) for m in models])
    found.append(
        Scores(
            "twonn", "twonn", "single", {}, (0, math.inf), True, twonn, std_error=np.full(n, 0.2)
        )
    )
    found.append(
        Scores(
            "dimension_mle",
            "dimension_mle",
            "single",
            {"k": 50},
            (0, math.inf),
            True,
            twonn * rng.uniform(0.8, 0.95, n),
        )
    )
    return {scores.label: scores for scores in found}


def part(name, title, rows, n_samples, seed, *, performance):
    rng = np.random.default_rng(seed)
    models = [facts_of(row, rng) for row in rows]
    scores = scores_of(models, n_samples, rng)
    values = scores["cknna"].values
    matrix = ScoreMatrix(
        tuple(m["name"] for m in models),
        n_samples,
        tuple(m["width"] for m in models),
        scores,
        {"version": "0.1.0", "backend": "native"},
    )
    analyses = {
        "condensed": [
            analysis.condensed(models, values, by)
            for by in ("modality", "family", "architecture", "training_data")
        ],
        "plane": analysis.planes(models, scores),
        "partition": [analysis.partition()],
        "locality": analysis.locality(models, values, n_samples),
        "dimension": analysis.dimension(models, scores),
        "tree": analysis.tree(models, values),
        "maps": analysis.maps(models, rng),
        "recommendation": analysis.recommendation(models, values),
        "layers": [analysis.layers(models, rng)],
    }
    if performance:
        analyses["convergence"] = [analysis.convergence(models, values, rng)]
    dataset = {
        "name": name,
        "n": n_samples,
        "seed": 0,
        "citation": "A. Author 2026",
        "licence": "MIT",
    }
    runs = [{"model": m["name"], "seconds": m["seconds"], "status": "done"} for m in models]
    runs.append({"model": "uma-s", "seconds": None, "status": "skipped: no weights"})
    return Part(
        name,
        title,
        f"{n_samples:,} {title.lower()} drawn with seed 0.",
        dataset,
        matrix,
        tuple(models),
        tuple(runs),
        analyses,
        ("uma-s is missing: no weights.",),
    )


def study():
    molecules = part("molecules", "Molecules", MOLECULES, 5000, 1, performance=True)
    materials = part("materials", "Materials", MATERIALS, 1000, 2, performance=True)
    proteins = part("proteins", "Proteins", PROTEINS, 50, 3, performance=False)
    shared = [m for m in materials.matrix.names if m in molecules.matrix.names]
    outer, inner = molecules.matrix, materials.matrix
    pairs = [
        {
            "a": a,
            "b": b,
            "inside": float(inner["cknna"][inner.names.index(a), inner.names.index(b)]),
            "outside": float(outer["cknna"][outer.names.index(a), outer.names.index(b)]),
        }
        for i, a in enumerate(shared)
        for b in shared[i + 1 :]
    ]
    inside = float(np.mean([p["inside"] for p in pairs]))
    outside = float(np.mean([p["outside"] for p in pairs]))
    regimes = {
        "label": "cknna",
        "inside_name": "Materials",
        "outside_name": "Molecules",
        "pairs": pairs,
        "mean_inside": inside,
        "mean_outside": outside,
        "difference": outside - inside,
        "low": outside - inside - 0.06,
        "high": outside - inside + 0.06,
        "p": 0.4,
    }
    return StudyResult(
        "Do models of matter agree?",
        "Twenty-five models in seven modalities saw the same molecules, crystals and proteins. "
        "Do their representations agree, and do better models agree more?",
        (molecules, materials, proteins),
        {"regimes": [regimes]},
        {"version": "0.1.0", "python": "3.11", "seconds": 812.5},
    )
