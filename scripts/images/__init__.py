"""The one image of every function: built, weighed, loaded.

cli          the command: base -> image -> archive -> table -> cluster
debian       a base of Debian's packages, by the machine's own apt sources, where no registry has to be asked
engines      buildah, podman or docker, whichever is there
outside      how this machine gets out: its pip.conf and its certificates, handed to the build as secrets
fingerprint  pure: what goes in -> a key, under which an archive is kept
contents     an archive -> what fills it
faults       why there is no image
"""
