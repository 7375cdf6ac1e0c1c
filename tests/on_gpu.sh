#!/usr/bin/env bash
# What a borrowed GPU is for, in one command, within a number of seconds:
#
#     tests/on_gpu.sh SECONDS [checks] [bench] [campaign] [rest] [small|night|paper]
#
# checks: the tests marked gpu. bench: speed over slots and precisions. campaign: the results at a
# scale (default night), by priority, in LANES. Lanes are processes beside each other, so that one
# compiles while another trains. The last lane is figure1_left's, one long sequence of small
# updates. Where CUDA's multi-process service is there, all lanes compute at once, and the others
# leave room for the last. Elsewhere they would take turns, at which the last loses most: it has
# the second half of the time for itself.
# Without a phase the first three share the seconds. rest: only bring home what an earlier call had
# no room for. What they leave lies in $OUT (default: on_gpu/): logs, a table, and results as
# results.tar.xz.*, unpacked at home by
#
#     cat on_gpu/results.tar.xz.* | tar xJ
#
# It uses the python3 that it finds. CONFIGS and RESULTS name other folders than configs, results.
set -uo pipefail
cd "$(dirname "$0")/.."

[[ ${1:-} =~ ^[0-9]+$ ]] || { sed -n '4p' "$0" | cut -c3- >&2; exit 2; }
TOTAL=$1; shift
PHASES=() SCALE=night
for word in "$@"; do
  case $word in
    checks | bench | campaign | rest) PHASES+=("$word") ;;
    small | night | paper) SCALE=$word ;;
    *) echo "on_gpu.sh: $word is no phase and no scale" >&2; exit 2 ;;
  esac
done
((${#PHASES[@]})) || PHASES=(checks bench campaign)
OUT=${OUT:-on_gpu} CONFIGS=${CONFIGS:-configs} RESULTS=${RESULTS:-results}
PART=${PART:-0}
LANES=${LANES:-"figure3 figure2_right embeddings precision
nanda figure7 figure1_center figure2_left
figure6 league_tuning league
figure1_left"}
mkdir -p "$OUT"
export JAX_COMPILATION_CACHE_DIR=${JAX_COMPILATION_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/grok}

left() { echo $((TOTAL - SECONDS)); }
share() { local most=$1; (($(left) < most)) && most=$(left); echo $((most > 1 ? most : 1)); }

checks() {  # seconds
  local files
  files=$(grep -l 'mark\.gpu' tests/test_*.py) || { echo 'no test is marked gpu'; return; }
  timeout -k 5 "$1" python3 -m pytest -m gpu -n 0 -p no:cacheprovider --tb=short $files \
    >"$OUT/checks.log" 2>&1
  echo "checks: exit status $?: $(tail -n 1 "$OUT/checks.log")"
}

bench() {  # seconds, shared by three precisions
  local precision
  : >"$OUT/bench.log"
  for precision in float32 tf32 bf16; do
    timeout -k 5 $(($1 / 3)) python3 -m grok bench --precision $precision >>"$OUT/bench.log" 2>&1
    echo "bench in $precision: exit status $?"
  done
  tail -n 30 "$OUT/bench.log"
}

share_gpu() {  # whether processes can compute at once; starts the service that lets them
  PATH=$PATH:/usr/local/nvidia/bin
  command -v nvidia-cuda-mps-control >/dev/null || return
  nvidia-cuda-mps-control -d >"$OUT/lanes.log" 2>&1
  timeout -k 5 60 python3 -c 'import jax; jax.numpy.ones(9, device=jax.devices("gpu")[0]) + 1' \
    >>"$OUT/lanes.log" 2>&1 && return
  unshare_gpu
  return 1
}

unshare_gpu() {
  command -v nvidia-cuda-mps-control >/dev/null && echo quit | timeout 10 nvidia-cuda-mps-control
}

train() {  # seconds, log, configs: a part of the campaign, stopped cleanly when time is up
  local seconds=$1 log=$2; shift 2
  local only=(); for name in "$@"; do only+=(--only "$name"); done
  exec setsid python3 -m grok results --scale "$SCALE" \
    --configs "$CONFIGS" --results "$RESULTS" --train-only --time-limit "$seconds" "${only[@]}" \
    -- --no-figures --checkpoint-every 20 >"$log" 2>&1
}

run_lanes() {  # the second at which they stop, lanes: each a line of configs
  local stop=$1 lanes=() grace=10 pids=() pid lane name; shift
  local names; names=$(python3 -m grok results --configs "$CONFIGS" --list) || return
  for lane in "$@"; do
    local here=()
    for name in $lane; do grep -qx "$name" <<<"$names" && here+=("$name"); done
    ((${#here[@]})) && lanes+=("${here[*]}")
  done
  XLA_PYTHON_CLIENT_MEM_FRACTION=$(printf '0.%02d' $((80 / (${#lanes[@]} + 1))))
  export XLA_PYTHON_CLIENT_MEM_FRACTION
  for lane in "${lanes[@]}"; do
    if [[ " $LAST " == *" ${lane%% *} "* ]]; then  # the last lane, maybe without some configs
      unset CUDA_MPS_ACTIVE_THREAD_PERCENTAGE CUDA_MPS_CLIENT_PRIORITY
    else
      export CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=45 CUDA_MPS_CLIENT_PRIORITY=1
    fi
    train $((stop - SECONDS)) "$OUT/lane_${lane%% *}.log" $lane & pids+=($!)
  done
  trap 'kill -TERM "${pids[@]}" 2>/dev/null' TERM INT
  while kill -0 "${pids[@]}" 2>/dev/null && ((SECONDS < stop + grace)); do sleep 0.5; done
  for pid in "${pids[@]}"; do  # with its children
    kill -KILL -- "-$pid" 2>/dev/null && echo "on_gpu.sh: had to kill a training that did not stop"
  done
  wait "${pids[@]}" 2>/dev/null
  trap - TERM INT
}

campaign() {  # seconds, of which the last are kept for packing
  local reserve=$(($1 > 240 ? 40 : $1 / 3)) lanes
  local stop=$((SECONDS + $1 - reserve))
  mapfile -t lanes <<<"$LANES"
  LAST=${lanes[-1]}
  if ((${#lanes[@]} == 1)); then
    run_lanes $stop "$LAST"
  elif share_gpu; then
    echo 'all lanes compute at once'
    run_lanes $stop "${lanes[@]}"
    unshare_gpu
  else
    echo 'the last lane waits for the others'
    run_lanes $((SECONDS + (stop - SECONDS) / 2)) "${lanes[@]:0:${#lanes[@]}-1}"
    run_lanes $stop "$LAST"
  fi
  tail -n 3 "$OUT"/lane_*.log
  tail -n +1 "$OUT"/lane_*.log >>"$OUT/lanes.log"
  rm -f "$OUT"/lane_*.log  # few files come home
}

rest() { PART=1; }

python3 tests/bring_home.py missing || exit 2
[[ ${PHASES[*]} == rest ]] || touch "$RESULTS.begun"
for phase in "${PHASES[@]}"; do
  case ${#PHASES[@]}$phase in
    3checks) seconds=$(share $((TOTAL / 4))) ;;
    3bench) seconds=$(share $((TOTAL / 8))) ;;
    *) seconds=$(left) ;;
  esac
  echo "== $phase, $seconds s"
  $phase "$seconds"
done
python3 tests/bring_home.py pack "$RESULTS" "$OUT" "$PART"
python3 -m grok results --scale "$SCALE" --configs "$CONFIGS" --results "$RESULTS" --status 2>&1 |
  tee "$OUT/status.txt"
ls -l "$OUT"
echo "$SECONDS of $TOTAL seconds"
