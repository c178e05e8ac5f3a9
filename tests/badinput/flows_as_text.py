"""Flow files that cannot be read: not YAML, too large, or not made of what a flow is made of."""

from tests.badinput.row import Row

NODES = "nodes: {a: {module: shop.orders}}\n"
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{below}: &{below} [{', '.join(['*' + above] * 9)}]\n" for above, below in zip("abcdefgh", "bcdefghi", strict=True)
)

SYNTAX = (
    Row(
        "a bracket that is not closed",
        "flow: f\nnodes: {a: {module: shop.orders}\n",
        "3:1: in the { } that begins at 2:8: the file ends, but '}' is missing",
    ),
    Row(
        "a quote that is not closed",
        'flow: f\nnodes: {a: {module: "table.limit}}\n',
        ("3:1: in the quoted text that begins at 2:21: the file ends, but the closing quote is missing"),
    ),
    Row(
        "uneven indentation",
        "flow: f\nnodes:\n   a: {module: shop.orders}\n  b: {module: table.limit}\n",
        ("4:3: in the mapping that begins at 1:1: this line is indented by another depth"),
    ),
    Row(
        "a tab as indentation",
        "flow: f\nnodes:\n\ta: {module: shop.orders}\n",
        "3:1: a tab cannot stand here (YAML is indented with spaces, not tabs)",
    ),
    Row(
        "an expression without quotes inside braces",
        "flow: f\nnodes: {a: {module: io.read, params: {file: ${inputs.x}}}}\n",
        (
            "2:46: in the { } that begins at 2:38: a ',' or '}' is missing before '{' (inside { } and "
            '[ ] an expression needs quotes: "${params.x}")'
        ),
    ),
    Row(
        "a second colon",
        "flow: f\ndoc: this: that\n" + NODES,
        "2:10: there is a second ':' (put quotes around a text that holds ': ')",
    ),
    Row(
        "an alias bomb",
        LAUGHS,
        "7:16: with its aliases written out the document is larger than 4 MiB",
        shown="nine lists, each with nine aliases of the one before",
    ),
    Row(
        "500,000 aliases",
        "a: &a []\nb: [" + "*a," * 340_000 + "]",
        "2:749990: the document has more than 250,000 keys and values",
        shown="a: &a []\\nb: [*a,*a,*a,…]",
        slow=True,
    ),
    Row(
        "aliases deeper than a flow may be",
        "a0: &a0 []\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}]\n" for n in range(120)),
        ("100:12: with its aliases the document is nested more than 100 levels deep"),
        shown="121 lists, each with an alias of the one before",
    ),
    Row(
        "an alias of the value that it is in",
        "flow: f\nnodes: &a {b: *a}\n",
        "2:15: the alias *a refers to nothing above it (mark a value: &a)",
    ),
    Row(
        "an alias of nothing",
        "flow: f\nnodes: *nodes\n",
        ("2:8: the alias *nodes refers to nothing above it (mark a value: &nodes)"),
    ),
    Row(
        "a merge key",
        "flow: f\nx: &x {module: shop.orders}\nnodes: {a: {<<: *x}}\n",
        (
            '2:1: a flow has no key "x"; there are: flow, doc, inputs, params, nodes, outputs, '
            "timeout, park, priority, concurrency, quarantine, notify, retention\n"
            "3:12: node 'a' lacks its module (module: NAME)\n"
            "3:13: node 'a' has no key \"<<\"; there are: module, in, params, bind, map, after, retry, "
            "timeout, rejects, limits, labels (merge keys are not part of YAML 1.2; an alias can stand for a "
            "whole value)"
        ),
    ),
    Row(
        "a Python object",
        "flow: !!python/object/apply:os.system [id]\n" + NODES,
        (
            "1:7: the tag !!python/object/apply:os.system cannot be used: flow files are plain data "
            "(remove the tag)\n"
            "1:7: flow must be text, not a list"
        ),
    ),
    Row(
        "a binary",
        "flow: f\ndoc: !!binary aGk=\n" + NODES,
        ("2:6: the tag !!binary cannot be used: flow files are plain data (remove the tag)"),
    ),
    Row(
        "a tag of one's own",
        "flow: f\nnodes: !nodes {a: {module: shop.orders}}\n",
        ("2:8: the tag !nodes cannot be used: flow files are plain data (remove the tag)"),
    ),
    Row(
        "a key twice", "flow: f\nflow: g\n" + NODES, "2:1: the key 'flow' is here a second time; the first is on line 1"
    ),
    Row(
        "a node twice",
        "flow: f\nnodes:\n  a: {module: shop.orders}\n  a: {module: shop.closed}\n",
        (
            "4:3: the key 'a' is here a second time; the first is on line 3\n"
            "4:3: input 'table' of shop.closed needs an edge (table port)\n"
            "4:15: warning: shop.closed is disabled by local: sold out; its step will be parked until "
            "it is enabled"
        ),
    ),
    Row(
        "a list as a key",
        "flow: f\n? [nodes]\n: {a: {module: shop.orders}}\n",
        ("2:3: a key must be text, not a list or mapping (put quotes around a text with '{' or '[')"),
    ),
    Row(
        "a number as a key",
        "flow: f\nnodes: {5: {module: io.read}}\n",
        (
            '2:9: the key 5 is not text (write "5")\n'
            "2:9: \"5\" cannot be the name of a node: a letter or '_', then letters, digits, '_' or '-', "
            "at most 100 in all"
        ),
    ),
    Row(
        "two documents",
        "flow: f\n" + NODES + "---\nflow: g\n",
        ("3:1: a flow file holds one flow: a second document starts here (remove '---')"),
    ),
    Row("YAML 1.1", "%YAML 1.1\n---\nflow: f\n" + NODES, "2:1: flow files are YAML 1.2 (remove the %YAML line)"),
    Row("nothing", "", "1:1: there is no flow in this file (flow: NAME)"),
    Row("only a comment", "# flow: f\n", "1:1: there is no flow in this file (flow: NAME)"),
    Row(
        "a number that is infinite",
        "flow: f\ntimeout: .inf\n" + NODES,
        "2:10: .inf is not a JSON number: infinity and NaN cannot be used",
    ),
    Row(
        "a number that is none",
        "flow: f\ntimeout: .nan\n" + NODES,
        "2:10: .nan is not a JSON number: infinity and NaN cannot be used",
    ),
    Row("a number that is too large", "flow: f\ntimeout: 1e999\n" + NODES, "2:10: the number 1e999 is too large"),
    Row(
        "an integer of 400 digits",
        "flow: f\ntimeout: " + "9" * 400 + "\n" + NODES,
        (
            "2:10: the integer 9999999999999999999999999999999999999999 does not fit into 64 bits: put "
            "it in quotes if it is text"
        ),
        shown="timeout: 9999…",
    ),
    Row(
        "a NUL character",
        "flow: f\ndoc: a\0b\n" + NODES,
        ("2:7: the character U+0000 cannot stand in a flow file (write it as an escape in double quotes)"),
    ),
    Row(
        "a control character",
        "flow: f\ndoc: a\x07b\n" + NODES,
        ("2:7: the character U+0007 cannot stand in a flow file (write it as an escape in double quotes)"),
    ),
    Row(
        "half a surrogate pair",
        'flow: f\ndoc: "\\ud800"\n' + NODES,
        ("2:6: half a surrogate pair is no character: write both halves, or the character itself"),
    ),
    Row(
        "bytes that are not UTF-8",
        b"flow: f\ndoc: caf\xe9\n" + NODES.encode(),
        "2:9: this is not UTF-8 text (save the file as UTF-8)",
    ),
    Row("UTF-16", ("flow: f\n" + NODES).encode("utf-16"), "1:1: this is not UTF-8 text (save the file as UTF-8)"),
    Row(
        "a byte order mark in the middle",
        "flow: f\ndoc: a\ufeffb\n\ufeff" + NODES,
        (
            "1:1: a flow needs at least one node (nodes: {name: {module: …}})\n"
            '3:1: a flow has no key "\\ufeffnodes"; there are: flow, doc, inputs, params, nodes, '
            "outputs, timeout, park, priority, concurrency, quarantine, notify, retention (did you mean 'nodes'?)"
        ),
    ),
    Row("lists 100,000 deep", "[" * 100_000, "1:101: the document is nested more than 100 levels deep", shown="[[[[…"),
    Row(
        "mappings 50,000 deep",
        "{a: " * 50_000,
        "1:401: the document is nested more than 100 levels deep",
        shown="{a: {a: {a: …",
    ),
    Row(
        "an indented tree 500 deep",
        "".join(" " * depth + "a:\n" for depth in range(500)),
        "101:101: the document is nested more than 100 levels deep",
        shown="a:\\n a:\\n  a:\\n…",
    ),
    Row(
        "a text of more than 1 MiB",
        "flow: f\n" + NODES + "#" * 1024 * 1024,
        ("1:1: the flow has 1,048,618 bytes, 1,048,576 are possible (hand data in as a file or table: an input)"),
        shown="a comment of 1 MiB",
    ),
    Row(
        "300,000 empty values",
        "flow: f\ndoc: [" + ",".join(["0"] * 300_000) + "]\n",
        "2:499997: the document has more than 250,000 keys and values",
        shown="doc: [0,0,0,…]",
        slow=True,
    ),
    Row(
        "a key of 500,000 characters",
        "flow: f\n" + "k" * 500_000 + ": 1\n" + NODES,
        "2:500001: a key without a ':'",
        shown="kkkk…: 1",
    ),
)

PARTS = (
    Row("a list", "- flow: f\n", "1:1: a flow must be a mapping, not a list (it starts with flow: NAME)"),
    Row("a number", "5\n", "1:1: a flow must be a mapping, not 5 (it starts with flow: NAME)"),
    Row("no name", NODES, "1:1: a flow needs a name (flow: NAME, or flow: NAMESPACE/NAME)"),
    Row("no nodes", "flow: f\n", "1:1: a flow needs at least one node (nodes: {name: {module: …}})"),
    Row("nodes as a list", "flow: f\nnodes:\n  - {module: table.limit}\n", "3:3: nodes must be a mapping, not a list"),
    Row(
        "a node as a text",
        "flow: f\nnodes: {a: table.limit}\n",
        ("2:12: node 'a' must be a mapping, not \"table.limit\" (write {module: table.limit})"),
    ),
    Row("a node without a module", "flow: f\nnodes: {a: {}}\n", "2:12: node 'a' lacks its module (module: NAME)"),
    Row(
        "keys that do not exist",
        "flow: f\nsteps: {}\nnodes: {a: {modul: table.limit, with: {rows: 5}}}\n",
        (
            '2:1: a flow has no key "steps"; there are: flow, doc, inputs, params, nodes, outputs, '
            "timeout, park, priority, concurrency, quarantine, notify, retention (did you mean 'nodes'?)\n"
            "3:12: node 'a' lacks its module (module: NAME)\n"
            "3:13: node 'a' has no key \"modul\"; there are: module, in, params, bind, map, after, "
            "retry, timeout, rejects, limits, labels (did you mean 'module'?)\n"
            "3:33: node 'a' has no key \"with\"; there are: module, in, params, bind, map, after, retry, "
            "timeout, rejects, limits, labels (did you mean 'params'?)"
        ),
    ),
    Row(
        "a name that leads out of a folder",
        "flow: ../../etc/passwd\n" + NODES,
        (
            '1:7: "../../etc/passwd" cannot be the name of a flow: it is NAME or NAMESPACE/NAME, each '
            "of letters, digits, '_' and '-'"
        ),
    ),
    Row(
        "a name with an emoji",
        "flow: 🚀\n" + NODES,
        (
            '1:7: "🚀" cannot be the name of a flow: it is NAME or NAMESPACE/NAME, each of letters, '
            "digits, '_' and '-'"
        ),
    ),
    Row(
        "a name of 300 characters",
        f"flow: {'f' * 300}\n" + NODES,
        (
            '1:7: "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffff… cannot be the name of a '
            "flow: it is NAME or NAMESPACE/NAME, each of letters, digits, '_' and '-'"
        ),
        shown="flow: ffff…",
    ),
    Row(
        "a node's name with a dot",
        "flow: f\nnodes: {a.b: {module: table.limit}}\n",
        (
            "2:9: \"a.b\" cannot be the name of a node: a letter or '_', then letters, digits, '_' or "
            "'-', at most 100 in all"
        ),
    ),
    Row(
        "a module's name with capitals",
        "flow: f\nnodes: {a: {module: Table.Limit}}\n",
        (
            '2:21: "Table.Limit" cannot be a module: lower-case words joined by dots, such as '
            "table.filter (did you mean 'table.limit'?)"
        ),
    ),
    Row(
        "a call in place of a module",
        "flow: f\nnodes: {a: {module: os.system('id')}}\n",
        ("2:21: \"os.system('id')\" cannot be a module: lower-case words joined by dots, such as table.filter"),
    ),
    Row(
        "a version that is none",
        "flow: f\nnodes: {a: {module: table.limit@1.0}}\n",
        (
            '2:21: "1.0" is no version: write table.limit, table.limit@1.2.0, table.limit@^1 or '
            "table.limit@~1.2 (did you mean 'table.limit@^1.0'?)"
        ),
    ),
    Row(
        "yes in place of true",
        "flow: f\ninputs: {i: {optional: yes}}\n" + NODES,
        (
            '2:24: optional must be true or false, not "yes" (YAML 1.2 has true and false)\n'
            "2:10: warning: nothing uses the input 'i'"
        ),
    ),
    Row(
        "a mapping in place of true",
        "flow: f\ninputs: {i: {optional: {}}}\n" + NODES,
        ("2:24: optional must be true or false, not a mapping\n2:10: warning: nothing uses the input 'i'"),
    ),
    Row(
        "a kind of input that is none",
        "flow: f\ninputs: {i: csv}\n" + NODES,
        ("2:13: the kind of an input is table, file or value, not \"csv\"\n2:10: warning: nothing uses the input 'i'"),
    ),
    Row(
        "a type of param that is none",
        "flow: f\nparams: {p: {type: int}}\n" + NODES,
        (
            "2:20: the type of a param is one of string, integer, number, boolean, array, object, not "
            "\"int\" (did you mean 'integer'?)\n"
            "2:10: warning: nothing uses the param 'p'"
        ),
    ),
    Row(
        "a default of another type",
        "flow: f\nparams: {p: {type: integer, default: five}}\n" + NODES,
        ("2:38: the default of param 'p' is \"five\", its type is integer\n2:10: warning: nothing uses the param 'p'"),
    ),
    Row(
        "a duration that is none",
        "flow: f\ntimeout: 5 minutes\npark: -1\n" + NODES,
        (
            '2:10: timeout must be a number of seconds, or text such as 500ms, 90s, 5m, 2h, 1d, not "5 '
            'minutes"\n'
            "3:7: park must be more than zero and at most 3650d, not -1"
        ),
    ),
    Row(
        "retries that cannot be",
        "flow: f\nnodes: {a: {module: shop.orders, retry: {attempts: 0, delay: 9d}}}\n",
        (
            "2:52: attempts must be a whole number from 1 to 100, not 0\n"
            '2:62: delay must be zero or more and at most 3600 s, not "9d"'
        ),
    ),
    Row(
        "retries whose words are misspelt",
        "flow: f\nnodes: {a: {module: shop.orders, retry: {backoff: linear, jitter: yes, on: [conection], total: 0}}}\n",
        (
            '2:51: backoff must be exponential or fixed, not "linear"\n'
            '2:67: jitter must be true or false, not "yes" (YAML 1.2 has true and false)\n'
            "2:77: an error is transient, connection, data or fatal, not \"conection\" (did you mean 'connection'?)\n"
            "2:96: total must be more than zero and at most 3650d, not 0"
        ),
    ),
    Row(
        "retries of nothing, and a longest delay below the first",
        "flow: f\nnodes: {a: {module: shop.orders, retry: {on: [], delay: 5s, max_delay: 1s}}}\n",
        (
            "2:46: on names no class of errors, so nothing would be tried again (write attempts: 1 for that)\n"
            "2:72: warning: no delay is longer than max_delay, so delay is never reached (raise max_delay, or lower delay)"
        ),
    ),
    Row(
        "rejected rows that cannot be",
        "flow: f\nnodes: {a: {module: shop.orders, rejects: {rows: -1, percent: 5%}}, b: {module: shop.orders, rejects: 5}}\n",
        (
            "2:50: rows must be a whole number from 0 on, not -1\n"
            '2:63: percent must be a number from 0 to 100, not "5%"\n'
            "2:103: rejects must be a mapping, not 5 (rejects: {rows: 100}, or {percent: 5})"
        ),
    ),
    Row(
        "a priority that is too high",
        "flow: f\npriority: 101\n" + NODES,
        "2:11: priority must be a whole number from -100 to 100, not 101",
    ),
    Row(
        "a limit of runs that is none",
        "flow: f\nconcurrency: none\n" + NODES,
        '2:14: concurrency must be a whole number of runs from 1 to 10,000, not "none" (concurrency: 1, or {limit: 1, key: …})',
    ),
    Row(
        "a limit of runs whose parts are wrong",
        "flow: f\nconcurrency: {limit: 0, key: customer, when_full: cancel, per: day}\n" + NODES,
        (
            "2:22: limit must be a whole number of runs from 1 to 10,000, not 0\n"
            '2:30: key is the same for every run: it has no ${params.…} (did you mean "${params.customer}"?)\n'
            "2:51: when_full must be queue, cancel-new or cancel-running, not \"cancel\" (did you mean 'cancel-new'?)\n"
            '2:59: concurrency has no key "per"; there are: limit, key, when_full'
        ),
    ),
    Row(
        "a limit of runs by an input",
        "flow: f\nconcurrency: {key: '${inputs.orders}'}\n" + NODES,
        '2:20: key is made of params, ${inputs.orders} cannot be a part of it (write "${params.NAME}")',
    ),
    Row(
        "a limit of runs by a param that is not there",
        "flow: f\nparams: {customer: x}\nconcurrency: {key: '${params.customer}/${params.day}/${params.customer.name}'}\n"
        + NODES,
        (
            "3:20: ${params.day}: the flow has no param 'day'\n"
            "3:20: ${params.customer.name}: there is nothing inside a param of type string"
        ),
    ),
    Row(
        "a quarantine that is neither",
        "flow: f\nquarantine: latest\n" + NODES,
        '2:13: quarantine must be park or previous, not "latest"',
    ),
    Row(
        "limits that cannot be",
        "flow: f\nnodes: {a: {module: shop.orders, limits: {memory: lots, open_files: 2, wall: 5}}}\n",
        (
            '2:51: memory cannot be "lots": it is a number of bytes, or text such as 512 KiB, 16 MiB, '
            "2 GB, not 'lots'\n"
            "2:69: open_files cannot be 2: input should be greater than or equal to 16\n"
            '2:72: limits has no key "wall" (the time by the clock on the wall is the node\'s timeout:)'
        ),
    ),
    Row(
        "an edge from a number",
        "flow: f\nnodes: {a: {module: table.limit, in: 5}}\n",
        ('2:38: an edge comes from node, node.port or "${inputs.NAME}", not from 5'),
    ),
    Row(
        "an edge from a param",
        'flow: f\nparams: {p: 1}\nnodes: {a: {module: table.limit, in: "${params.p}"}}\n',
        (
            '3:38: an edge can only come from a node or from ${inputs.NAME}, not from "${params.p}" (a '
            "param of the flow belongs under params)\n"
            "2:10: warning: nothing uses the param 'p'"
        ),
    ),
    Row(
        "a map over a number",
        "flow: f\nnodes: {a: {module: shop.orders, map: 5}}\n",
        ('2:39: map must be a list, or an expression that gives one ("${params.NAME}"), not 5'),
    ),
    Row(
        "a webhook that is no address",
        "flow: f\nnotify: {url: file:///etc/passwd, on: [crashed]}\n" + NODES,
        (
            "2:15: a webhook is called by http or https, not by 'file'\n"
            '2:40: a run ends succeeded, failed, cancelled or timed_out, not "crashed"'
        ),
    ),
    Row(
        "a secret in the flow",
        "flow: f\nnotify: {url: 'https://me:pw@example.org', secret: abc}\n" + NODES,
        (
            "2:15: an address holds no user name or password: a webhook is signed instead\n"
            '2:44: a webhook has no key "secret" (a flow holds no secrets: webhooks are signed with '
            "the mesh's own key, the file webhook-key of its data folder)"
        ),
    ),
    Row(
        "a retention that cannot be",
        "flow: f\nretention: {log: 5d, data: forever}\n" + NODES,
        (
            '2:13: retention has no key "log"; there are: runs, data, logs, events, data_bytes (did you mean '
            "'logs'?)\n"
            "2:28: data must be a number of seconds, or text such as 500ms, 90s, 5m, 2h, 1d, not "
            '"forever"'
        ),
    ),
)
