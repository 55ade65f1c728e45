#!/usr/bin/env bash
# Tests the package on several versions of Airflow and Python, each pair in an environment of its own in .matrix/.
#
#   scripts/matrix.sh                     every supported pair
#   scripts/matrix.sh 2.11:3.10 3.3:3.13  these
#   scripts/matrix.sh 3.3:3.13,3.12       Airflow 3.3 on the first of these Pythons that is here
#   scripts/matrix.sh 2.11.2:3.10:lowest  with the oldest requests, httpx, ... that pyproject.toml allows; else the newest
#   MAY_FAIL=yes scripts/matrix.sh 3.4:3.13:next  the newest pre-release, with a part of the tests; if it is red, the run is not
#   STANDALONE=yes scripts/matrix.sh ...  also in a real `airflow standalone`
#   BROWSER=yes scripts/matrix.sh ...     also through its web page, in Debian's Chromium
#   CELERY=yes scripts/matrix.sh ...      also with two workers, Debian's PostgreSQL and Redis
#
# A failed step does not end the run: the table at the end is whole. Sourced, it gives `step`, `leg`, `at_least` and `report`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# By this, hypothesis tries the same examples in each leg: what fails in one alone, fails because of its versions.
export CI=true
# With it, each process would compile all of Airflow again, which takes seconds.
unset PYTHONDONTWRITEBYTECODE

supported=(
  2.11.2:3.10:lowest 2.11:3.10 2.11:3.11 2.11:3.12
  3.1:3.10 3.1:3.11 3.1:3.12 3.1:3.13
  3.2:3.10 3.2:3.11 3.2:3.12 3.2:3.13
  3.3:3.10 3.3:3.11 3.3:3.12 3.3:3.13
)
table=()
failed=0
legs_run=0
not_run=0
red=0
# What depends on Airflow, for a pre-release: the rest is the same as on the release before it.
next_tests=(tests/unit/airflow tests/unit/connection tests/unit/transport tests/test_example_dags.py)

row() { # STEP RESULT SECONDS
  table+=("$(printf '%-38s %-8s %5s' "$@")")
}

step() { # NAME COMMAND ...
  local name=$1 start=$SECONDS code=0
  shift
  printf '\n=== %s\n' "$name"
  # The limit is there so that a step which hangs does not take the table with it.
  timeout --kill-after=30 2400 bash -euo pipefail -c '"$@"' step "$@" </dev/null || code=$?
  if [ "$code" != 0 ] && [ "${MAY_FAIL:-}" = yes ]; then
    row "$name" red "$((SECONDS - start))"
    red=$((red + 1))
    return 1
  fi
  case $code in
    0) row "$name" passed "$((SECONDS - start))" ;;
    124 | 137) row "$name" timeout "$((SECONDS - start))" ;;
    *) row "$name" FAILED "$((SECONDS - start))" ;;
  esac
  [ "$code" = 0 ] || { failed=$((failed + 1)); return 1; }
}

at_least() { # NUMBER: a run in which hardly any leg could run has shown nothing
  [ "$legs_run" -ge "$1" ] && return
  row "legs run: $legs_run, wanted: $1" FAILED -
  failed=$((failed + 1))
}

report() { # exits with 1 if anything failed
  printf '\n%-38s %-8s %5s\n' step result secs
  printf '%s\n' "${table[@]}"
  printf '\n%s failed, %s not run\n' "$failed" "$not_run"
  [ "$red" = 0 ] || printf '%s red on a pre-release, which fails nothing\n' "$red"
  [ "$failed" = 0 ] || exit 1
}

find_python() { # X.Y: prints the path of such an interpreter
  local place candidate
  local candidates=("python$1")
  # The home of the account too, as HOME may be a fresh one.
  for place in "${PYENV_ROOT:-$HOME/.pyenv}" "$(getent passwd "$(id -u)" | cut -d: -f6)/.pyenv"; do
    candidates+=("$place/versions/$1".*/bin/python)
  done
  candidates+=("$(scripts/uv python find --quiet --no-project "$1" 2>/dev/null || true)")
  for candidate in "${candidates[@]}"; do
    # To be asked, because a shim of pyenv is on PATH also for a version that is switched off.
    "$candidate" -c 'import ssl, sys; sys.version_info[:2] == tuple(map(int, sys.argv[1].split("."))) or sys.exit(1)
print(sys.executable)' "$1" 2>/dev/null && return
  done
  return 1
}

build_package() { # what users get: the sdist, and the wheel that comes out of the sdist
  rm -rf .matrix/dist
  scripts/uv build --quiet --out-dir .matrix/dist
  ls .matrix/dist/*
}

# For an Airflow whose API server fails with dependencies of later days, as its package, unlike its constraint files, takes any.
as_of() { # AIRFLOW
  [ "$1" != 3.2 ] || echo --exclude-newer 2026-06-15
}

install_leg() { # ENVIRONMENT INTERPRETER AIRFLOW [lowest|next]
  local choice=highest prereleases=if-necessary-or-explicit
  [ "${4:-}" != lowest ] || choice=lowest-direct
  [ "${4:-}" != next ] || prereleases=allow
  scripts/uv venv --quiet --clear --python "$2" "$1"
  scripts/uv pip install --quiet --python "$1/bin/python" --resolution "$choice" --prerelease "$prereleases" \
    "apache-airflow==$3.*" $(as_of "$3") --editable '.[testing]' --group dev
  scripts/uv pip list --quiet --python "$1/bin/python" |
    grep -E '^(apache-airflow|apache-airflow-providers-common-compat|airflow-provider-dify|requests|httpx2?|pytest) '
}

check_wheel() { # ENVIRONMENT: puts the wheel in the place of the sources, and imports every module of it
  scripts/uv pip install --quiet --python "$1/bin/python" --no-deps --reinstall .matrix/dist/*.whl
  cd "$1" # not where the sources are
  AIRFLOW_HOME="$1/airflow" bin/python - <<'EOF'
import importlib, pathlib, pkgutil, airflow_provider_dify as package
home = pathlib.Path(package.__file__).parent
assert home.parent.name == "site-packages", home
assert (home / "py.typed").is_file()
names = [module.name for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
for name in names:
    importlib.import_module(name)
print(f"{len(names)} modules import from the wheel")
EOF
}

check_providers() { # ENVIRONMENT
  cd "$1"
  export AIRFLOW_HOME="$1/airflow"
  bin/airflow providers list --output plain | grep airflow-provider-dify
  bin/airflow providers hooks --output plain | grep airflow_provider_dify
}

debian() { # PACKAGE ...: installs those of Debian's packages that are missing
  local package missing=()
  for package; do
    [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      missing+=("$package")
  done
  [ "${#missing[@]}" = 0 ] && return
  apt-get update -qq </dev/null &&
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "${missing[@]}" </dev/null
}

system_test() { # ENVIRONMENT GROUP MODULE: installs the group of pyproject.toml that the module needs, and runs it
  scripts/uv pip install --quiet --python "$1/bin/python" --group "$2"
  "$1/bin/python" -m "$3"
}

agent_tools() { # ENVIRONMENT: the hook as tools of an agent, with the provider that makes them
  scripts/uv pip install --quiet --python "$1/bin/python" --group agents
  "$1/bin/python" -c 'import airflow.providers.common.ai' # without it, the test would be skipped
  "$1/bin/python" -m pytest -n 0 tests/docs/test_agent_tools.py
}

# `step` runs its command in a shell of its own, under `timeout`.
export -f build_package as_of install_leg check_wheel check_providers system_test agent_tools

beside() { # NAME ENVIRONMENT TEST PACKAGE ...: a system test that needs Debian's packages
  local name=$1 home=$2 test=$3
  shift 3
  if debian "$@" >.matrix/apt.log 2>&1; then
    step "$name" system_test "$home" "$test" "tests.system.$test" || true
  else
    printf '\n=== %s: NOT RUN, as %s cannot be installed here\n' "$name" "$*"
    tail -n 3 .matrix/apt.log
    row "$name" "not run" -
    not_run=$((not_run + 1))
  fi
}

leg() { # AIRFLOW:PYTHON[,PYTHON ...][:lowest|:next]
  local airflow wanted choice version python=
  IFS=: read -r airflow wanted choice <<<"$1"
  for version in ${wanted//,/ }; do
    python=$(find_python "$version") && break
  done
  if [ -z "$python" ]; then
    printf '\n=== Airflow %s on Python %s: NOT RUN, no such interpreter here\n' "$airflow" "${wanted//,/ or }"
    row "$airflow on ${wanted//,/ or }" "not run" -
    not_run=$((not_run + 1))
    return
  fi
  [ "$choice" = next ] || legs_run=$((legs_run + 1))
  local name="$airflow on $version${choice:+, $choice}" home="$PWD/.matrix/$airflow-$version${choice:+-$choice}"
  step "$name: install" install_leg "$home" "$python" "$airflow" "$choice" || return 0
  local tests=()
  [ "$choice" != next ] || tests+=("${next_tests[@]}")
  step "$name: tests" "$home/bin/python" -m pytest -n auto --dist worksteal "${tests[@]}" || true
  step "$name: programs" "$home/bin/python" -m pytest -n auto -m program "${tests[@]}" || true
  # What the dependencies decide has been seen by now.
  [ "$choice" != lowest ] || return 0
  # In a real Airflow with its scheduler and triggerer, where asked for: it takes a few minutes.
  if [ "${STANDALONE:-}" = yes ]; then step "$name: standalone" "$home/bin/python" -m tests.system || true; fi
  if [ "${BROWSER:-}" = yes ]; then beside "$name: browser" "$home" ui chromium chromium-driver; fi
  if [ "${CELERY:-}" = yes ]; then beside "$name: celery" "$home" celery postgresql redis-server; fi
  step "$name: wheel" check_wheel "$home" || true
  step "$name: providers list" check_providers "$home" || true
  step "$name: connections test" "$home/bin/python" scripts/check_connection.py || true
  step "$name: example DAGs" "$home/bin/python" scripts/check_example_dags.py || true
  # Airflow's provider for agents wants Python 3.11.
  if [ "$airflow" = 3.3 ] && [ "$version" != 3.10 ]; then step "$name: agent tools" agent_tools "$home" || true; fi
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  [ $# -gt 0 ] || set -- "${supported[@]}"
  step "package" build_package || true
  for pair; do
    leg "$pair"
  done
  at_least 1
  report
fi
