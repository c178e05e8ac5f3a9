"""Data from outside, decoded in a process that has nothing to lose.

A decoder of files can be made to crash, to take all memory, or to run for ever by a file that was made for it, or that is
just broken. So files that people hand in are decoded in a child process with limits (`Outside`); what it makes is
validated there, and comes back as record batches in shared memory that are mapped and never copied. Whatever happens to
the child is an error that names the file, never the end of the process that asked.

    job.py       what is to be decoded, how, and within which limits
    source.py    the file, as the decoder sees it
    outside.py   the asking side: starts the process that forks, hands out batches
    forker.py    `python -P -m plugmesh.data.outside.forker`: warm, forks one child for each file
    child.py     the child: limits, decoder, validation
    here.py      the same in this process, for tests of modules and for debuggers
    regions.py   which parts of the shared file are in use
    verdict.py   how a child ended, in words
"""
