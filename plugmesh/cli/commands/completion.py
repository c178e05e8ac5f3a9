"""`plugmesh completion`: prints what makes a shell complete the words of this command."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

ASK = "__complete"
"""The first word of the command line that a shell asks with; the words to complete follow, the last one unfinished."""


class Shell(StrEnum):
    """A shell that can complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_BASH = """\
_plugmesh() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == :files ]]; then
            compopt -o filenames
            while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
        else
            COMPREPLY+=("${line%%$'\\t'*}")
        fi
    done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _plugmesh plugmesh
"""

_ZSH = """\
#compdef plugmesh
_plugmesh() {
    local line
    local -a found
    while IFS= read -r line; do
        if [[ $line == :files ]]; then
            _files
        else
            found+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}")
        fi
    done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    (( $#found )) && _describe -t words plugmesh found
}
compdef _plugmesh plugmesh
"""

_FISH = """\
function __plugmesh_words
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] __complete $words[2..-1] 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c plugmesh -f -a '(__plugmesh_words)'
"""

SCRIPTS = {Shell.BASH: _BASH, Shell.ZSH: _ZSH, Shell.FISH: _FISH}


def completion(shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="The shell.")]) -> None:
    """Print what makes a shell complete commands and names.

    For bash, put `source <(plugmesh completion bash)` into ~/.bashrc; for zsh the same into ~/.zshrc, after compinit;
    for fish write it to ~/.config/fish/completions/plugmesh.fish.
    """
    print(SCRIPTS[shell], end="")
