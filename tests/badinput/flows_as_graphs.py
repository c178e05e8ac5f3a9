"""Flows that can be read, whose parts do not fit each other or the modules of the mesh."""

from tests.badinput.row import Row


def flow(*nodes: str, head: str = "", tail: str = "") -> str:
    """A flow file with a node a line, of which the first reads the input `i`."""
    lines = "".join(f"  {node}\n" for node in nodes)
    read = 'read: {module: io.read, params: {file: "${inputs.i}"}}'
    return f"flow: f\ninputs: {{i: file}}\n{head}nodes:\n  {read}\n{lines}{tail}"


EDGES = (
    Row(
        "a cycle",
        flow(
            "a: {module: table.limit, in: c, params: {rows: 1}}",
            "b: {module: table.limit, in: a, params: {rows: 1}}",
            "c: {module: table.limit, in: b, params: {rows: 1}}",
        ),
        "5:3: these nodes wait for each other: a → b → c → a",
    ),
    Row(
        "a cycle by after",
        flow(
            "a: {module: table.limit, in: read, after: b, params: {rows: 1}}",
            "b: {module: table.limit, in: a, params: {rows: 1}}",
        ),
        "5:3: these nodes wait for each other: a → b → a",
    ),
    Row(
        "a node that waits for itself",
        flow("a: {module: table.limit, in: a, params: {rows: 1}}"),
        "5:32: node 'a' waits for itself",
    ),
    Row(
        "an edge from nowhere",
        flow("a: {module: table.limit, in: raed, params: {rows: 1}}"),
        "5:32: there is no node 'raed' (did you mean 'read'?)",
    ),
    Row(
        "an output of nowhere",
        flow(tail="outputs: {o: reed}\n"),
        "5:14: there is no node 'reed' (did you mean 'read'?)",
    ),
    Row(
        "a wait for nothing",
        flow("a: {module: table.limit, in: read, after: [zzz], params: {rows: 1}}"),
        "5:46: there is no node 'zzz'",
    ),
    Row(
        "an edge from an input as if it were a node",
        flow("a: {module: table.limit, in: i, params: {rows: 1}}"),
        ("5:32: there is no node 'i' (for the input of the flow write \"${inputs.i}\")"),
    ),
    Row(
        "an input that does not exist",
        flow('a: {module: table.limit, in: "${inputs.j}", params: {rows: 1}}'),
        "5:32: the flow has no input 'j'",
    ),
    Row(
        "an input port that does not exist",
        flow("a: {module: table.limit, in: {tabel: read}, params: {rows: 1}}"),
        (
            "5:32: input 'table' of table.limit needs an edge (table port)\n"
            "5:33: table.limit has no input 'tabel'; there is table (did you mean 'table'?)"
        ),
    ),
    Row(
        "an output port that does not exist",
        flow("a: {module: table.limit, in: read.ot, params: {rows: 1}}"),
        "5:32: io.read has no output 'ot'; there is out (did you mean 'out'?)",
    ),
    Row(
        "one edge for two ports",
        flow("a: {module: table.join, in: read, params: {on: [x]}}"),
        ("5:31: table.join has several inputs; there are left, right (write in: {left: …})"),
    ),
    Row(
        "a port without an edge",
        flow("a: {module: table.join, in: {left: read}, params: {on: [x]}}"),
        "5:31: input 'right' of table.join needs an edge (table port)",
    ),
    Row(
        "a node without an edge",
        flow("a: {module: table.limit, params: {rows: 1}}"),
        "5:3: input 'table' of table.limit needs an edge (table port)",
    ),
    Row(
        "an edge into a source",
        flow('a: {module: io.read, in: read, params: {file: "${inputs.i}"}}'),
        "5:28: io.read has no input (remove in:)",
    ),
    Row(
        "a list of edges where one fits",
        flow("a: {module: table.limit, in: [read, read], params: {rows: 1}}"),
        "5:32: port 'table' takes one edge, not 2",
    ),
    Row(
        "a file where a table is read",
        flow('a: {module: table.limit, in: "${inputs.i}", params: {rows: 1}}'),
        "5:32: input 'table' of table.limit takes a table, not a file",
    ),
    Row(
        "an optional input where data is needed",
        'flow: f\ninputs: {i: {optional: true}}\nnodes: {a: {module: table.limit, in: "${inputs.i}", params: {rows: 1}}}\n',
        "3:38: input 'table' of table.limit is required, but 'i' is optional",
    ),
)

PARAMS = (
    Row(
        "a param that does not exist",
        flow("a: {module: table.limit, in: read, params: {row: 5}}"),
        (
            "5:46: table.limit: param 'rows' is missing\n"
            "5:47: table.limit: there is no param 'row'; there are rows, offset (did you mean 'rows'?)"
        ),
    ),
    Row(
        "a param that is missing",
        flow("a: {module: table.filter, in: read}"),
        "5:3: table.filter: param 'where' is missing",
    ),
    Row(
        "a text in place of a number",
        flow("a: {module: table.limit, in: read, params: {rows: ten}}"),
        "5:53: table.limit: param 'rows' must be an integer, not \"ten\"",
    ),
    Row(
        "true in place of a number",
        flow("a: {module: table.limit, in: read, params: {rows: true}}"),
        "5:53: table.limit: param 'rows' must be an integer, not true",
    ),
    Row(
        "a fraction in place of a whole number",
        flow("a: {module: table.limit, in: read, params: {rows: 1.5}}"),
        "5:53: table.limit: param 'rows' must be an integer, not 1.5",
    ),
    Row(
        "a number below the least",
        flow("a: {module: table.limit, in: read, params: {rows: -1}}"),
        "5:53: table.limit: param 'rows' must be at least 0, not -1",
    ),
    Row(
        "a number that no int64 holds",
        flow("a: {module: table.limit, in: read, params: {rows: 18446744073709551616}}"),
        (
            "5:53: the integer 18446744073709551616 does not fit into 64 bits: put it in quotes if it "
            "is text\n"
            "5:53: table.limit: param 'rows' must be an integer, not null"
        ),
    ),
    Row(
        "none of the choices",
        flow("a: {module: table.join, in: {left: read, right: read}, params: {on: x, how: lefft}}"),
        (
            '5:79: table.join: param \'how\' must be one of "inner", "left", "right", "full", "semi", '
            '"anti", not "lefft" (did you mean \'left\'?)'
        ),
    ),
    Row(
        "a list in place of an expression",
        flow("a: {module: table.filter, in: read, params: {where: [x > 1]}}"),
        "5:55: table.filter: param 'where' must be a string, not a list",
    ),
    Row(
        "a mapping in place of a list",
        flow("a: {module: table.select, in: read, params: {columns: {x: 1}}}"),
        "5:57: table.select: param 'columns' must be an array, not a mapping",
    ),
    Row(
        "an empty expression",
        flow('a: {module: table.filter, in: read, params: {where: ""}}'),
        ("5:55: table.filter: param 'where' must have at least 1 characters, not \"\""),
    ),
    Row(
        "a param of the wrong type",
        flow('a: {module: table.limit, in: read, params: {rows: "${params.n}"}}', head="params: {n: many}\n"),
        ("6:53: table.limit: param 'rows' must be an integer, not ${params.n} (string)"),
    ),
    Row(
        "a file's name in place of an input",
        flow("a: {module: io.read, params: {file: flights.csv}}"),
        (
            "5:39: io.read: param 'file' must be a file that was handed in, not \"flights.csv\" (write "
            '"${inputs.NAME}", an input of kind file)'
        ),
    ),
    Row(
        "an input that does not exist, in a param",
        flow('a: {module: io.read, params: {file: "${inputs.j}"}}'),
        "5:39: ${inputs.j}: the flow has no input 'j'",
    ),
    Row(
        "a param of the flow that does not exist",
        flow('a: {module: table.limit, in: read, params: {rows: "${params.rows}"}}'),
        "5:53: ${params.rows}: the flow has no param 'rows'",
    ),
    Row(
        "an environment variable",
        flow('a: {module: table.limit, in: read, params: {rows: "${env.HOME}"}}'),
        (
            "5:53: ${env.HOME} is no expression: there are ${inputs.NAME}, ${params.NAME}, "
            "${params.NAME.key}, ${item}, ${item.key} and ${index}"
        ),
    ),
    Row(
        "Python in an expression",
        flow("a: {module: table.limit, in: read, params: {rows: \"${__import__('os')}\"}}"),
        (
            "5:53: ${__import__('os')} is no expression: there are ${inputs.NAME}, ${params.NAME}, "
            "${params.NAME.key}, ${item}, ${item.key} and ${index}"
        ),
    ),
    Row(
        "an expression that is not closed",
        flow('a: {module: table.filter, in: read, params: {where: "x > ${params.n"}}'),
        ("5:55: '${' is not closed by '}' (write $${ for the two characters themselves)"),
    ),
    Row(
        "an item without a map",
        flow('a: {module: table.limit, in: read, params: {rows: "${item}"}}'),
        "5:53: ${item} can only be used in params of a node with map:",
    ),
    Row(
        "a file inside a text",
        flow('a: {module: table.filter, in: read, params: {where: "x > ${inputs.i}"}}'),
        ("5:55: ${inputs.i} is a reference: it must be the whole value, not a part of a text"),
    ),
    Row(
        "a map over a text",
        flow(
            'a: {module: table.limit, in: read, map: "${params.n}", params: {rows: "${item}"}}',
            head="params: {n: many}\n",
        ),
        "6:43: map needs a list, but ${params.n} is of type string",
    ),
    Row(
        "a map over a file",
        flow('a: {module: table.limit, in: read, map: "${inputs.i}", params: {rows: "${item}"}}'),
        "5:43: map needs a list, but ${inputs.i} is a file",
    ),
    Row(
        "a function that does not exist",
        flow("a: {module: table.filter, in: read, params: {where: a > 1 and uper(b) = 'X'}}"),
        "5:65: table.filter: param 'where': there is no function 'uper' here (did you mean 'upper'?)",
    ),
    Row(
        "a function that reads files",
        flow("a: {module: table.derive, in: read, params: {columns: {x: read_text('/etc/passwd')}}}"),
        "5:61: table.derive: param 'columns.x': there is no function 'read_text' here",
    ),
    Row(
        "a function that gives something else each time",
        flow("a: {module: table.derive, in: read, params: {columns: {x: now()}}}"),
        "5:61: table.derive: param 'columns.x': now is not possible: an expression gives the same result each time; "
        "hand the value in as a param",
    ),
    Row(
        "a query inside an expression",
        flow('a: {module: table.filter, in: read, params: {where: "a in (select b from c)"}}'),
        "5:62: table.filter: param 'where': a subquery is not possible: it sees one row of one table; "
        "use table.join for another table",
    ),
    Row(
        "a second statement",
        flow('a: {module: table.filter, in: read, params: {where: "a > 1; drop table b"}}'),
        "5:61: table.filter: param 'where': there is one expression, without ';'",
    ),
    Row(
        "a bracket too few in an expression",
        flow('a: {module: table.aggregate, in: read, params: {by: [x], measures: {n: "sum(y"}}}'),
        "5:78: table.aggregate: param 'measures.n': this '(' is not closed",
    ),
    Row(
        "params over 32 KiB",
        flow(f"a: {{module: table.select, in: read, params: {{columns: [{', '.join(['x' * 90] * 400)}]}}}}"),
        (
            "5:57: the params of node 'a' are 37,201 bytes of JSON, 32,768 are possible (hand what is "
            "in 'columns' over in a file or a table, as an input of the flow)"
        ),
        shown="columns: [xxxx…, xxxx…, …]",
    ),
)

MODULES = (
    Row(
        "a module that nobody knows",
        flow("a: {module: table.limt, in: read, params: {rows: 1}}"),
        (
            "5:15: warning: the module table.limt is not known; its step will be parked until one is "
            "plugged in (did you mean 'table.limit'?)"
        ),
        "",
        200,
    ),
    Row(
        "the same, with strict",
        flow("a: {module: table.limt, in: read, params: {rows: 1}}"),
        "5:15: the module table.limt is not known (did you mean 'table.limit'?)",
        strict=True,
    ),
    Row(
        "a version that nobody has",
        flow("a: {module: table.limit@^7, in: read, params: {rows: 1}}"),
        ("5:15: no known version of table.limit fits table.limit@^7 (known: 1.1.0)"),
        strict=True,
    ),
    Row(
        "a module that is disabled",
        flow("a: {module: shop.closed, in: read}"),
        "5:15: shop.closed is disabled by local: sold out",
        strict=True,
    ),
    Row(
        "a module that went away",
        flow("a: {module: shop.away, in: read}"),
        "5:15: no live instance serves shop.away",
        strict=True,
    ),
)

SIZES = (
    Row(
        "a cycle of 10,000 nodes",
        '{"flow": "f", "nodes": {'
        + ", ".join(f'"n{n}": {{"module": "shop.link", "in": "n{(n - 1) % 10_000}"}}' for n in range(10_000))
        + "}}",
        ("1:25: these nodes wait for each other: n0 → n1 → n2 → n3 → n4 → n5 → … 9994 more … → n0"),
        shown="n0 → n1 → … → n9999 → n0",
    ),
    Row(
        "20,001 nodes",
        "flow: f\nnodes:\n" + "".join(f" n{n}: {{module: m}}\n" for n in range(20_001)),
        ("3:2: the flow has 20,001 nodes, 20,000 are possible (a mapped node runs once for each element)"),
        shown="n0: {module: m}, …",
        slow=True,
    ),
)
