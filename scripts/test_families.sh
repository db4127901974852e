#!/usr/bin/env bash
# Tests the adapters of models whose libraries cannot live together, each with its library in an
# environment of its own: scripts/test_families.sh [FAMILY ...]
# Families: transformers mace orb uma equiformer pet esm-if1 esm3. With KEEP=1 they take about 13 GB, and 15 to 20 minutes.
# FAMILY_ENVIRONMENTS names the folder of the environments, KEEP=0 removes each after its tests.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
ROOT=${FAMILY_ENVIRONMENTS:-$PWD/.venv-families}
TORCH=${TORCH:-torch==2.13.0}
BASE=(numpy scipy ase pytest hypothesis)
export OMP_NUM_THREADS=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=1

wheel() {
  [[ -n ${WHEEL:-} ]] && return
  rm -rf "$ROOT/wheel"
  "$PYTHON" -m pip wheel --no-deps --wheel-dir "$ROOT/wheel" .
  WHEEL=$(ls "$ROOT"/wheel/consilience-*.whl)
}

# environment FAMILY [PIP ARGUMENTS ...]: made once, our own wheel put in each time.
environment() {
  local folder=$ROOT/$1
  shift
  if [[ ! -e $folder/ready ]]; then
    rm -rf "$folder"
    "$PYTHON" -m venv "$folder"
    "$folder/bin/pip" install "$TORCH" "${BASE[@]}"
    "$folder/bin/pip" install "$TORCH" "$@"
    touch "$folder/ready"
  fi
  wheel
  "$folder/bin/pip" install "$WHEEL"
  "$folder/bin/pip" install --no-deps --force-reinstall "$WHEEL"
}

# check FAMILY TEST ...: a test that is skipped here would prove nothing, so that fails too.
check() {
  local family=$1
  shift
  echo "== $family"
  "$ROOT/$family/bin/python" -m pytest -p no:cacheprovider -q "${@/#/tests/models/families/}" \
    | tee "$ROOT/$family/log"
  if grep -q '^SKIPPED' "$ROOT/$family/log"; then
    echo "$family: tests were skipped, though their library should be here" >&2
    return 1
  fi
  [[ ${KEEP:-1} == 1 ]] || rm -rf "${ROOT:?}/$family"
}

transformers() {
  environment transformers 'transformers>=5.20,<6' selfies sentencepiece protobuf
  check transformers test_facts.py test_smiles_transformers.py test_protein_transformers.py test_llm.py
}

mace() {
  environment mace mace-torch==0.3.16
  check mace test_mace.py
}

orb() {
  environment orb orb-models==0.5.5
  check orb test_orb.py
}

uma() {
  environment uma fairchem-core==2.24.0
  check uma test_uma.py
}

# It pins torch 2.4 and NumPy 1, but runs on newer ones: weights are read safely only there.
equiformer() {
  environment equiformer e3nn==0.5.6 torch_geometric hydra-core lmdb numba orjson pymatgen \
    pyyaml requests submitit huggingface_hub pydantic tensorboard tqdm
  "$ROOT/equiformer/bin/pip" install --no-deps fairchem-core==1.10.0
  check equiformer test_equiformer_v2.py
}

pet() {
  environment pet upet==0.3.1
  check pet test_pet_mad.py
}

esm-if1() {
  environment esm-if1 fair-esm==2.0.0 biotite==1.6.0 torch_geometric
  check esm-if1 test_esm_if1.py
}

# Its torchvision has to fit torch, else pip takes a newer torch with 4 GB of CUDA.
esm3() {
  environment esm3 torchvision==0.28.0 esm==3.2.1 httpx
  check esm3 test_esm3.py
}

mkdir -p "$ROOT"
for family in "${@:-transformers mace orb uma equiformer pet esm-if1 esm3}"; do
  for one in $family; do "$one"; done
done
