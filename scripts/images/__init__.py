"""Images of functions: built, listed, loaded.

cli              the command: base -> image -> archive -> table -> cluster
context          the folder that an image is built from
requirements     pure: the packages that a function needs
check_functions  runs in the finished image: imports each function
debian           a base of Debian's packages, from the machine's own apt sources, without an image registry
engines          buildah, podman or docker, whichever is there
outside          the machine's pip.conf and certificates, which the build gets as secrets
fingerprint      pure: the inputs of an image -> a key, under which its archive is kept
contents         an archive -> what fills it
faults           why there is no image
"""
