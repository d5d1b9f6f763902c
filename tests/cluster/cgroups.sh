# shellcheck shell=bash
# Gives the cluster its own cgroup in every hierarchy (cgroup v1). It is below the cgroup of the process that starts the
# cluster, so the limits of that process apply to the cluster. Source this file after settings.sh.

# Prints the cgroup hierarchies of this process, one per line: controllers and path.
hierarchies() { awk -F: '$2 != "" {print $2, $3 == "/" ? "" : $3}' /proc/self/cgroup; }

# Prints where the hierarchy of these controllers is mounted. The mount options contain the names of the controllers.
mounted_at() {
  awk -v wanted=",$1," '{
    for (i = 7; i <= NF; i++) if ($i == "-") break
    if ($(i + 1) == "cgroup" && index("," $(i + 3) ",", wanted)) { print $5; exit }
  }' /proc/self/mountinfo
}

# Creates the folders and writes their paths to $STATE/cgroups. The folder of the pids controller comes first, because
# `running` (settings.sh) reads the first line.
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

# Moves this process, and the processes that it starts from now on, into the cgroups.
enter_cgroups() {
  local folder
  while read -r folder; do echo "$BASHPID" >"$folder/cgroup.procs"; done <"$STATE/cgroups"
}

# Mounts the cgroup hierarchies for the cluster, with its own cgroup as the root.
mount_cgroups() {
  local controllers controller name options
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  while read -r controllers _; do
    name=${controllers#name=} options=$controllers
    case $controllers in name=*) options=none,$controllers ;; esac
    mkdir "/sys/fs/cgroup/$name"
    mount -t cgroup -o "$options" cgroup "/sys/fs/cgroup/$name"
    # Link each controller of a shared hierarchy under its own name too.
    for controller in ${name//,/ }; do [ "$controller" = "$name" ] || ln -s "$name" "/sys/fs/cgroup/$controller"; done
  done < <(hierarchies)
}

# Kills the processes in a cgroup and in the cgroups below it.
end_members() {
  local members
  mapfile -t members < <(find "$1" -name cgroup.procs -exec cat {} + 2>/dev/null)
  [ ${#members[@]} = 0 ] || kill -KILL "${members[@]}" 2>/dev/null || true
}

# Kills the remaining processes and removes the folders.
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
    [ ! -d "$folder" ] || fail "could not remove the cgroup $folder after $try attempts"
  done <"$STATE/cgroups"
  rm "$STATE/cgroups"
}
