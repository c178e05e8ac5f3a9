"""Codes of steps: why an attempt, and in the end its step, has failed."""

from __future__ import annotations

from functools import partial

from plugmesh.codes.code import Code, Place

_step = partial(Code, places=(Place.STEP,))

STEPS = (
    _step(
        "module-failed",
        "The module raised an error",
        "The author's function raised an exception.",
        "It is in the module's code, or in data that the code did not expect.",
        "The error has type, message and the author's lines of the trace; the step's log has what was printed. "
        "`plugmesh replay RUN STEP` runs the step again on the same inputs, here.",
    ),
    _step(
        "transient",
        "The module asks to be tried again",
        "The module raised `TransientError`: something that will probably work later.",
        "A service that it uses was overloaded, locked or restarting.",
        "The step is tried again by itself, with growing pauses, as often as its `retry:` says.",
    ),
    _step(
        "connection",
        "The module could not connect",
        "The module raised `ConnectionFailed`: something that it needs does not answer.",
        "A server is down, or its address is wrong.",
        "The step is tried again by itself. Check the address if it goes on.",
    ),
    _step(
        "fatal",
        "The module gives up",
        "The module raised `FatalError`: trying again is useless.",
        "The author of the module knows that this cannot work.",
        "Read the message; it is the author's.",
    ),
    _step(
        "file-unreadable",
        "A file cannot be decoded",
        "A file from outside could not be decoded, though its module knows the format.",
        "It is damaged or cut off, it is another format than its name says, it was made to do harm, or what is in it needs "
        "more memory, CPU time or room than the step may use. It was decoded in a process of its own; nothing else was hurt.",
        "The message names the file, and what the decoder said or which limit it met. Get the file again; if a limit is too "
        "low for it, raise that in the flow's node (`limits:`).",
    ),
    _step(
        "decoder-ended",
        "A file's decoder was ended from outside",
        "The process that decoded a file was ended by somebody else.",
        "Somebody killed it, or the machine's memory was full and the system chose it.",
        "The step is tried again by itself. If it happens again, look at how much memory the machine has left.",
    ),
    _step(
        "too-many-rejected",
        "Too many rows were rejected",
        "A step rejected more rows than its node allows with `rejects:`.",
        "The data is worse than foreseen, or the module or its params do not fit it.",
        "Those rejected until then are the step's dead letter, with their reasons (`plugmesh dlq show RUN.STEP`). Correct "
        "the data or the params and run again, or raise `rejects:`.",
    ),
    _step(
        "wrong-return",
        "The function returned the wrong thing",
        "What the module's function returned is nothing that its outputs promise.",
        "It returned None or a list, forgot an output, or returned other columns than declared.",
        "Return a table for each output: a single output directly, several as a dict by port.",
    ),
    _step(
        "invalid-params",
        "The params do not fit",
        "The params of a step do not fit the module's function.",
        "A `${…}` gave a value of another type than the param has, or the module's version has other params.",
        "The message names the param, what it takes and what it got. Correct the flow's params.",
    ),
    _step(
        "code-changed",
        "The module's file has changed",
        "The author's file is not the one that the instance registered with.",
        "It was saved while the instance ran.",
        "Start the instance again; `plugmesh module dev` and watched folders do it by themselves.",
    ),
    _step(
        "executor-died",
        "The process of the step died",
        "The process that ran the author's function ended in the middle of it.",
        "A segmentation fault in a library, `os._exit`, a kill by the system for memory, or by a person.",
        "The message names the signal or exit code; the step's log has the last words. A limit of memory turns the "
        "hunger for memory into a clear error. A version that does it in three runs within an hour is quarantined.",
    ),
    _step(
        "no-executor",
        "No process could be started",
        "The instance could not start the process that runs the module.",
        "The machine has no memory or no processes left, or the author's file cannot be imported any more.",
        "The message has the first line of what the process said. Look at the machine, and at the instance's log.",
    ),
    _step(
        "timeout",
        "The step took too long",
        "An attempt was still at work when its time was over, and was stopped.",
        "The step's `timeout:` (or the limit of wall time) is shorter than the work.",
        "Raise `timeout:`, or give the step less to do at a time (`map:`).",
    ),
    _step(
        "memory-limit",
        "The step needs more memory than it may",
        "An attempt wanted more memory than its limit.",
        "The data is larger than the limit foresees, or the module keeps too much of it.",
        "Raise the limit of memory (of the flow's node, the module, or the mesh), or read the data in batches.",
    ),
    _step(
        "cpu-limit",
        "The step needs more CPU time than it may",
        "An attempt used up its CPU time and was stopped.",
        "The work is larger than the limit foresees, or the module loops for ever.",
        "Raise the limit of CPU time, or correct the module.",
    ),
    _step(
        "open-files-limit",
        "The step opened too many files",
        "An attempt wanted to have more files open at a time than its limit.",
        "The module does not close what it opens, or really needs so many.",
        "Close files in the module, or raise the limit of open files.",
    ),
    _step(
        "output-limit",
        "The step wrote too much",
        "An attempt wrote more bytes of output than its limit.",
        "The output is larger than foreseen: a join without a key, for example.",
        "Correct the step, or raise the limit of output bytes.",
    ),
    _step(
        "stuck",
        "The step was stuck",
        "An attempt used no CPU time, logged nothing and reported no progress for too long, and was stopped.",
        "It waits for something that does not come: a lock, an answer, input from a terminal.",
        "Look at its log. If long silences are normal for it, raise the limit of silence (`silent_s`) or call `ctx.progress`.",
    ),
    _step(
        "result-unreadable",
        "The result cannot be read",
        "An instance sent the end of an attempt, and the scheduler could not read what it said.",
        "The instance runs another version of Plugmesh, or is written in another language and has a mistake; or the "
        "message was damaged or cut off on its way.",
        "The step is tried again by itself. The message says what was unreadable; serve the module with the server's version "
        "of Plugmesh.",
    ),
    _step(
        "lease-lost",
        "The lease was lost",
        "The scheduler was not heard of for so long that the attempt had to stop.",
        "The connection was away longer than the lease, and the sink must not apply an effect twice.",
        "The step is given out again by itself. Declare the sink `idempotent` if a second effect does no harm.",
    ),
    _step(
        "cancelled",
        "Cancelled",
        "The attempt was stopped because its run was cancelled.",
        "A person or a program asked for it, or the run's time was over.",
        "Nothing; the run says who asked and why.",
    ),
    _step(
        "attempts-lost",
        "Too many attempts were lost",
        "The instances that worked on the step were lost again and again.",
        "Processes or machines die while they work on it, perhaps because of it.",
        "Look at the logs of the instances named in the attempts; run the module alone, with limits.",
    ),
    _step(
        "tries-timeout",
        "The tries of a step took too long together",
        "The time that all tries of the step may take, `retry.total`, was over before another one could begin.",
        "The step failed and was tried again until then, or it waited long for its turn or its module.",
        "Look at the errors of its attempts, and give the step more time with `retry: {total: …}`.",
    ),
    _step(
        "parked-too-long",
        "No module came in time",
        "The step waited for a module that nobody served, as long as the flow allows.",
        "The module was never started, was disabled or quarantined, or no version fits what the flow asks for.",
        "Start the module and run the flow again; `park:` in the flow says how long steps wait.",
    ),
    _step(
        "plan-outdated",
        "The run's plan does not fit the module's version",
        "The step was given a version of its module that reads columns which the steps before it have left out.",
        "When the run was submitted, another version was there that does not read them, so nobody had to make or keep them.",
        "Run it again (`plugmesh rerun RUN`): the rerun is planned with the version that is there now, and does again what it "
        "must. Or let the flow name the version, as in `module: table.filter@1.2.0`.",
    ),
    _step(
        "map-invalid",
        "The list to map over is wrong",
        "The expression of `map:` gave something that is no list, or could not be computed.",
        "A param or an earlier output has another shape than the flow foresees.",
        "Correct the param, or the expression of `map:`.",
    ),
    _step(
        "map-failed",
        "Elements of a mapped node failed",
        "Some steps of a mapped node have failed, and so the node has.",
        "Each of them has its own error.",
        "Look at the failed steps of the node: `plugmesh show RUN --failed`.",
    ),
)
