"""Builds images of functions, lists their contents and loads them into the cluster.

cli                   the command: base -> image -> archive -> table -> cluster
context               the folder that an image is built from
requirements          the packages that a function needs: requirements.txt or a script block
install_requirements  runs in the build: installs the packages of all functions, reports conflicts
check_functions       runs in the finished image: imports each function
debian                a base of Debian's packages, from the machine's own apt sources, without an image registry
engines               buildah, podman or docker, the first that is installed
outside               the machine's pip.conf and certificates, which the build gets as secrets
fingerprint           pure: the inputs of an image -> a key, under which its archive is kept
contents              an archive -> the sizes of its layers and packages
faults                the error of a build
"""
