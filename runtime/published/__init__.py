"""What is published about a model, as it is read: by the commands of the registry, and by `scalezero serve`.

places     where the objects are that are made from an artifact
manifest   what is published, as values; manifest_json: the same as JSON
objects    single objects of a bucket or a folder: read, hashed, listed
reading    the manifest and the added assessments
serving    what `scalezero serve` needs of them

A pod imports none of it, because its revision pins the variants. `runtime.registry` writes what is read here.
"""
