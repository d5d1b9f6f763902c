# shellcheck shell=bash
# A cgroup of the cluster's own in every hierarchy (version 1), below the one of whoever starts it, so that what limits
# the starter limits the cluster. Sourced after settings.sh.

# The hierarchies that this process is in, a line each: controllers and path.
hierarchies() { awk -F: '$2 != "" {print $2, $3 == "/" ? "" : $3}' /proc/self/cgroup; }

# Where the hierarchy of these controllers is mounted; its file system tells it by its options.
mounted_at() {
  awk -v wanted=",$1," '{
    for (i = 7; i <= NF; i++) if ($i == "-") break
    if ($(i + 1) == "cgroup" && index("," $(i + 3) ",", wanted)) { print $5; exit }
  }' /proc/self/mountinfo
}

# Makes the folders and writes their names down; the first one is the pids controller's, by which `running` asks.
make_cgroups() {
  local controllers path at folder
  while read -r controllers path; do
    at=$(mounted_at "$controllers")
    [ -n "$at" ] || continue
    folder=$at$path/$CGROUP
    mkdir -p "$folder"
    if [ -f "$folder/cpuset.cpus" ]; then
      cat "$folder/../cpuset.cpus" >"$folder/cpuset.cpus"
      cat "$folder/../cpuset.mems" >"$folder/cpuset.mems"
      echo 1 >"$folder/cgroup.clone_children"
    fi
    case $controllers in pids) echo "0 $folder" ;; *) echo "1 $folder" ;; esac
  done < <(hierarchies) | sort | cut -d ' ' -f 2- >"$STATE/cgroups"
}

# Moves this process, and what it starts from here on.
enter_cgroups() {
  local folder
  while read -r folder; do echo "$BASHPID" >"$folder/cgroup.procs"; done <"$STATE/cgroups"
}

# Shows the kernel's hierarchies as the cluster sees them, its own cgroup being the root.
mount_cgroups() {
  local controllers controller name options
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  while read -r controllers _; do
    name=${controllers#name=} options=$controllers
    case $controllers in name=*) options=none,$controllers ;; esac
    mkdir "/sys/fs/cgroup/$name"
    mount -t cgroup -o "$options" cgroup "/sys/fs/cgroup/$name"
    # Controllers that share a hierarchy are found by their own names too.
    for controller in ${name//,/ }; do [ "$controller" = "$name" ] || ln -s "$name" "/sys/fs/cgroup/$controller"; done
  done < <(hierarchies)
}

# Ends the processes in a cgroup and in those below it.
end_members() {
  local members
  mapfile -t members < <(find "$1" -name cgroup.procs -exec cat {} + 2>/dev/null)
  [ ${#members[@]} = 0 ] || kill -KILL "${members[@]}" 2>/dev/null || true
}

# Ends whatever is left in there, and removes the folders.
remove_cgroups() {
  local folder try
  [ -f "$STATE/cgroups" ] || return 0
  while read -r folder; do
    for try in $(seq 50); do
      [ -d "$folder" ] || break
      end_members "$folder"
      find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || true
      [ ! -d "$folder" ] || sleep 0.1
    done
    [ ! -d "$folder" ] || fail "could not remove $folder, tried $try times"
  done <"$STATE/cgroups"
  rm "$STATE/cgroups"
}
