#!/bin/sh
# The first process of every container: puts the tokens that it was given where a mesh keeps them, and becomes `plugmesh`.
set -eu
umask 077

keep() { # keep FILE TOKEN: in one piece, for containers that start at the same time share the folder
  [ -n "$2" ] || return 0
  new=$(mktemp "$PLUGMESH_DATA/.$1.XXXXXX")
  printf '%s' "$2" >"$new"
  mv "$new" "$PLUGMESH_DATA/$1"
}
keep token "${MESH_TOKEN:-}"
keep join-token "${MESH_JOIN_TOKEN:-}"
# An image of modules says which file it serves; a command goes before it.
if [ $# -eq 0 ]; then set -- module serve "$MODULE_FILE"; fi
unset MESH_TOKEN MESH_JOIN_TOKEN
exec plugmesh "$@"
