"""Requests that are no JSON, or not what the route takes; and names that no thing can have."""

import json

from tests.badinput.row import Row

RUNS, BATCH, FILES, FLOWS, VALIDATE = (
    "/api/v1/runs",
    "/api/v1/runs:batch",
    "/api/v1/files",
    "/api/v1/flows",
    "/api/v1/validate",
)
FLOW = "flow: f\nnodes: {a: {module: shop.orders}}\n"
YAML, OCTETS = "application/yaml", "application/octet-stream"


def run(**fields: object) -> str:
    """The body of a submit."""
    return json.dumps({"flow": FLOW, **fields})


JSON = (
    Row("nothing", "", "the body is empty: send a JSON object", "bad-request", 400),
    Row("no JSON", "flow: f", "the body is not JSON: expected ident at line 1 column 2", "bad-request", 400),
    Row(
        "a comma too many",
        '{"flow": "f",}',
        "the body is not JSON: trailing comma at line 1 column 14",
        "bad-request",
        400,
    ),
    Row(
        "text behind the end",
        '{"flow": "f"} 5',
        "the body is not JSON: trailing characters at line 1 column 15",
        "bad-request",
        400,
    ),
    Row("a list", "[]", "the body must be a JSON object", "bad-request", 400),
    Row(
        "lists 100,000 deep",
        '{"flow": ' + "[" * 100_000,
        "the body is nested too deep at line 1 column 210",
        "bad-request",
        400,
        shown='{"flow": [[[[…',
    ),
    Row(
        "objects 100,000 deep",
        '{"params": ' + '{"a":' * 100_000,
        "the body is nested too deep at line 1 column 1012",
        "bad-request",
        400,
        shown='{"params": {"a":{"a":{"a":…',
    ),
    Row(
        "NaN",
        '{"flow": "f", "timeout_s": NaN}',
        "the body is not JSON: expected value at line 1 column 28",
        "bad-request",
        400,
    ),
    Row(
        "Infinity",
        '{"flow": "f", "params": {"x": -Infinity}}',
        "the body is not JSON: invalid number at line 1 column 32",
        "bad-request",
        400,
    ),
    Row(
        "a number that is too large",
        run()[:-1] + ', "timeout_s": 1e999}',
        "the request is invalid: timeout_s: Input should be a finite number",
        "request-invalid",
        422,
    ),
    Row(
        "an integer of 5,000 digits",
        run()[:-1] + ', "timeout_s": ' + "9" * 5000 + "}",
        "the body is not JSON: number out of range at line 1 column 4372",
        "bad-request",
        400,
        shown='{"timeout_s": 9999…',
    ),
    Row(
        "half a surrogate pair",
        r'{"flow": "f", "params": {"x": "\ud800"}}',
        "the body is not JSON: unexpected end of hex escape at line 1 column 38",
        "bad-request",
        400,
    ),
    Row(
        "bytes that are not UTF-8",
        b'{"flow": "caf\xe9"}',
        "the body is not JSON: invalid unicode code point at line 1 column 14",
        "bad-request",
        400,
    ),
    Row(
        "a byte order mark",
        b'\xef\xbb\xbf{"flow": "f"}',
        "the body is not JSON: expected value at line 1 column 1",
        "bad-request",
        400,
    ),
    Row(
        "a NUL character",
        b'{"flow": "f\0"}',
        ("the body is not JSON: control character (\\u0000-\\u001F) found while parsing a string at line 1 column 12"),
        "bad-request",
        400,
    ),
    Row(
        "a key twice",
        '{"flow": "f", "flow": "g"}',
        "the body has the key 'flow' twice in one object: remove one of them",
        "bad-request",
        400,
    ),
    Row(
        "a field that does not exist",
        run(param={}),
        ("the request is invalid: param: there is no such field (did you mean 'params'?)"),
        "request-invalid",
        422,
    ),
    Row("no flow", "{}", "the request is invalid: flow: Field required", "request-invalid", 422),
    Row(
        "a flow that is a number",
        '{"flow": 5}',
        (
            "the request is invalid: flow.dict[str,any]: Input should be a valid dictionary; flow.str: "
            "Input should be a valid string"
        ),
        "request-invalid",
        422,
    ),
    Row(
        "a flow with problems",
        json.dumps({"flow": "flow: f\nnodes: {a: {modul: x}}"}),
        (
            "the flow has 2 problems: flow.yaml:2:12: error: node 'a' lacks its module (module: NAME); "
            "flow.yaml:2:13: error: node 'a' has no key \"modul\"; there are: module, in, params, bind, "
            "map, after, retry, timeout, rejects, limits, labels (did you mean 'module'?)"
        ),
        "flow-invalid",
        422,
    ),
    Row(
        "a negative time",
        run(timeout_s=-1),
        "the request is invalid: timeout_s: Input should be greater than 0",
        "request-invalid",
        422,
    ),
    Row(
        "a priority that is too high",
        run(priority=101),
        "the request is invalid: priority: Input should be less than or equal to 100",
        "request-invalid",
        422,
    ),
    Row(
        "a priority that is no whole number",
        run(priority="high"),
        "the request is invalid: priority: Input should be a valid integer",
        "request-invalid",
        422,
    ),
    Row(
        "a deadline without a zone",
        run(deadline="2099-12-24T18:30:00"),
        (
            "the request is invalid: deadline: this is no moment: write Unix seconds, or text such as "
            "2026-12-24T18:30:00Z, with its zone"
        ),
        "request-invalid",
        422,
    ),
    Row(
        "a deadline in the thirteenth month",
        run(deadline="2099-13-24T18:30:00Z"),
        (
            "the request is invalid: deadline: this is no moment: write Unix seconds, or text such as "
            "2026-12-24T18:30:00Z, with its zone"
        ),
        "request-invalid",
        422,
    ),
    Row(
        "a deadline in milliseconds",
        run(deadline=1795271167200),
        "the request is invalid: deadline: Input should be less than or equal to 100000000000",
        "request-invalid",
        422,
    ),
    Row(
        "a rerun from nowhere",
        '{"from": "middle"}',
        'the request is invalid: from: write "failed", "start", or a list of steps such as ["load"]',
        "request-invalid",
        422,
        path=f"{RUNS}/run-1/rerun",
    ),
    Row(
        "a rerun from no step",
        '{"from": []}',
        'the request is invalid: from: write "failed", "start", or a list of steps such as ["load"]',
        "request-invalid",
        422,
        path=f"{RUNS}/run-1/rerun",
    ),
    Row(
        "a rerun of steps that are numbers",
        '{"only": [5]}',
        "the request is invalid: only.0: Input should be a valid string",
        "request-invalid",
        422,
        path=f"{RUNS}/run-1/rerun",
    ),
    Row(
        "a rerun of another flow",
        '{"flow": "shop/other"}',
        (
            "the request is invalid: flow: there is no such field (there are from, only, inputs, params, timeout_s, "
            "labels, notify, priority, deadline)"
        ),
        "request-invalid",
        422,
        path=f"{RUNS}/run-1/rerun",
    ),
    Row(
        "a rerun of a run that is not there",
        "",
        "there is no run 'run-1': `plugmesh runs` or GET /api/v1/runs lists them",
        "not-found",
        404,
        path=f"{RUNS}/run-1/rerun",
    ),
    Row(
        "a deadline that is over",
        run(deadline="2020-01-01T00:00:00Z"),
        "the run cannot start: deadline: this time is over: the run would end before it began",
        "request-invalid",
        422,
    ),
    Row(
        "a reason for a pause that is no text",
        '{"reason": 5}',
        "the request is invalid: reason: Input should be a valid string",
        "request-invalid",
        422,
        path="/api/v1/runs/run-x/pause",
        shown='{"reason": 5}',
    ),
    Row(
        "a pause with a field that does not exist",
        '{"why": "x"}',
        "the request is invalid: why: there is no such field (there are reason)",
        "request-invalid",
        422,
        path="/api/v1/runs/run-x/pause",
        shown='{"why": "x"}',
    ),
    Row(
        "a run that is not there, to be resumed",
        "{}",
        "there is no run 'run-x': `plugmesh runs` or GET /api/v1/runs lists them",
        "not-found",
        404,
        path="/api/v1/runs/run-x/resume",
    ),
    Row(
        "a limit of runs by a part of a param that it does not have",
        json.dumps(
            {
                "flow": FLOW + "params: {p: {type: object}}\nconcurrency: {key: '${params.p.id}'}",
                "params": {"p": {"x": 1}},
            }
        ),
        "flow: concurrency.key: error: ${params.p.id}: a mapping has no 'id' (there is x)",
        "flow-invalid",
        422,
    ),
    Row(
        "a label's name with spaces",
        run(labels={"a b": "c"}),
        ("the request is invalid: labels.a b.[key]: String should match pattern '^[a-zA-Z_][a-zA-Z0-9_-]{0,99}$'"),
        "request-invalid",
        422,
    ),
    Row(
        "a param that the flow does not have",
        run(params={"rows": 5}),
        ("the run of default/f cannot start: params.rows: error: the flow has no param 'rows' (there are none)"),
        "flow-invalid",
        422,
    ),
    Row(
        "an input that the flow does not have",
        run(inputs={"orders": {"value": 5}}),
        ("the run of default/f cannot start: inputs.orders: error: the flow has no input 'orders' (there are none)"),
        "flow-invalid",
        422,
    ),
    Row(
        "an input in no known form",
        run(inputs={"orders": "orders.csv"}),
        ('the run cannot start: inputs.orders: write {"file": "NAME"}, {"value": …} or a whole reference'),
        "request-invalid",
        422,
    ),
    Row(
        "a file that does not exist",
        run(inputs={"orders": {"file": "../../etc/passwd"}}),
        (
            "the run cannot start: inputs.orders: there is no file '../etc/passwd' in namespace .. "
            "(PUT /api/v1/files/NAME uploads one)"
        ),
        "request-invalid",
        422,
    ),
    Row(
        "a value over 8 KiB",
        run(inputs={"orders": {"value": "x" * 9000}}),
        (
            "the run cannot start: inputs.orders: the value has 9002 bytes of JSON, 8192 are possible: "
            "hand it in as a file"
        ),
        "request-invalid",
        422,
        shown='{"orders": {"value": "xxxx…"}}',
    ),
    Row(
        "an object outside of the store",
        run(inputs={"i": {"kind": "file", "name": "x", "key": "../../etc/passwd", "bytes": 1, "hash": "x"}}),
        (
            "the run cannot start: inputs.i: object key '../../etc/passwd' holds the word '..': use "
            "words of 1 to 255 of A-Z a-z 0-9 . _ = - (but not . or ..), separated by one /"
        ),
        "request-invalid",
        422,
    ),
    Row(
        "a webhook to a file",
        run(notify=[{"url": "file:///etc/passwd"}]),
        ("the run cannot start: notify.0: a webhook is called by http or https, not by 'file'"),
        "request-invalid",
        422,
    ),
    Row(
        "a saved flow that does not exist",
        '{"flow": {"ref": "sales/report@9"}}',
        "there is no saved flow sales/report (GET /api/v1/flows lists them)",
        "not-found",
        404,
    ),
    Row(
        "a name of a saved flow that cannot be",
        '{"flow": {"ref": "../report"}}',
        "there is no saved flow ../report (GET /api/v1/flows lists them)",
        "not-found",
        404,
    ),
    Row(
        "a key of 300 characters",
        run(),
        "the header Idempotency-Key has 1 to 200 characters",
        "bad-request",
        400,
        headers={"idempotency-key": "k" * 300},
        shown="idempotency-key: kkkk…",
    ),
    Row(
        "10,001 runs at once",
        json.dumps({"runs": [{"flow": "f"}] * 10_001}),
        "a batch has at most 10,000 runs: send the rest in another one",
        "limit-exceeded",
        413,
        path=BATCH,
        shown='{"runs": [{"flow": "f"}, …]}',
    ),
)

FORMS = (
    Row(
        "a form",
        "flow=f",
        ("send the body as application/json, not as application/x-www-form-urlencoded"),
        "unsupported-media-type",
        415,
        kind="application/x-www-form-urlencoded",
    ),
    Row(
        "a form with a file",
        "--x--",
        "send the body as application/json, not as multipart/form-data",
        "unsupported-media-type",
        415,
        kind="multipart/form-data; boundary=x",
    ),
    Row(
        "plain text",
        run(),
        "send the body as application/json, not as text/plain",
        "unsupported-media-type",
        415,
        kind="text/plain",
    ),
    Row(
        "no type",
        run(),
        "send the body as application/json, and say so with Content-Type",
        "unsupported-media-type",
        415,
        kind="",
    ),
    Row(
        "UTF-16",
        run().encode("utf-16"),
        "the body is said to be utf-16: send it as UTF-8",
        "unsupported-media-type",
        415,
        kind="application/json; charset=utf-16",
    ),
    Row(
        "a flow as plain text",
        FLOW,
        ("send the body as application/json or application/yaml, not as text/plain"),
        "unsupported-media-type",
        415,
        path=VALIDATE,
        kind="text/plain",
    ),
    Row(
        "a file as a form",
        "x",
        "send the body as application/octet-stream, not as multipart/form-data",
        "unsupported-media-type",
        415,
        method="PUT",
        path=f"{FILES}/x.csv",
        kind="multipart/form-data; boundary=x",
    ),
    Row(
        "a foreign host",
        run(),
        (
            "this gateway does not answer to the name 'evil.example': use one of 127.0.0.1, [::1], "
            "localhost, or add the name to its setting allowed_hosts"
        ),
        "host-refused",
        403,
        headers={"host": "evil.example"},
    ),
    Row(
        "a page from elsewhere",
        run(),
        (
            "a page of 'https://evil.example' may not call this gateway, which it knows as "
            "http://127.0.0.1:8720: add it to the setting allowed_origins (or, behind a proxy that "
            "speaks https, the proxy to trusted_proxies)"
        ),
        "host-refused",
        403,
        headers={"origin": "https://evil.example"},
    ),
    Row(
        "a method that is not there",
        "",
        "PATCH is not possible at /api/v1/runs: there are GET, HEAD, POST",
        "method-not-allowed",
        405,
        method="PATCH",
    ),
    Row(
        "an address that is not there",
        "",
        ("there is nothing at /api/v1/run: the routes are listed at /api/v1/openapi.json"),
        "not-found",
        404,
        method="GET",
        path="/api/v1/run",
    ),
)

QUERIES = (
    Row(
        "a key that does not exist",
        "",
        "there is no query parameter 'stat' (did you mean 'state'?)",
        "bad-request",
        400,
        method="GET",
        path=f"{RUNS}?stat=failed",
    ),
    Row(
        "a state that does not exist",
        "",
        (
            "'faild' is no state of a run: there are queued, running, paused, cancelling, succeeded, "
            "failed, cancelled, timed_out"
        ),
        "bad-request",
        400,
        method="GET",
        path=f"{RUNS}?state=faild",
    ),
    Row(
        "a page without entries",
        "",
        "query.limit: Input should be greater than or equal to 1",
        "request-invalid",
        422,
        method="GET",
        path=f"{RUNS}?limit=0",
    ),
    Row(
        "a page of a million",
        "",
        "query.limit: Input should be less than or equal to 1000",
        "request-invalid",
        422,
        method="GET",
        path=f"{RUNS}?limit=1000000",
    ),
    Row(
        "a page of a word",
        "",
        ("query.limit: Input should be a valid integer, unable to parse string as an integer"),
        "request-invalid",
        422,
        method="GET",
        path=f"{RUNS}?limit=many",
    ),
    Row(
        "a cursor that is none",
        "",
        "cursor must be the next_cursor of the page before",
        "bad-request",
        400,
        method="GET",
        path=f"{RUNS}?cursor=%00",
    ),
    Row(
        "a time that is none",
        "",
        "query.since: Input should be a finite number",
        "request-invalid",
        422,
        method="GET",
        path=f"{RUNS}?since=nan",
    ),
    Row(
        "a label without a value",
        "",
        "label must be NAME:VALUE, not 'team'",
        "bad-request",
        400,
        method="GET",
        path=f"{RUNS}?label=team",
    ),
    Row(
        "a wait without an end",
        "",
        "wait_s must be a number of seconds, not 'inf'",
        "bad-request",
        400,
        method="GET",
        path=f"{RUNS}/run-1?wait_s=inf",
    ),
    Row(
        "a revision below the first",
        "",
        "query.revision: Input should be greater than or equal to 1",
        "request-invalid",
        422,
        method="GET",
        path=f"{FLOWS}/sales/report?revision=0",
    ),
    Row(
        "a revision of 100 digits",
        "",
        "query.revision: Input should be less than or equal to 2147483647",
        "request-invalid",
        422,
        method="GET",
        path=f"{FLOWS}/sales/report?revision={'9' * 100}",
    ),
)


def file(title: str, name: str, says: str, shown: str = "") -> Row:
    """An upload under a name that is percent-encoded."""
    return Row(title, "x", says, "bad-request", 400, "PUT", f"{FILES}/{name}", OCTETS, shown=shown)


def kept(title: str, name: str, says: str) -> Row:
    """A name that looks odd, and is stored as it is: it is a row in a table, never a path."""
    return Row(title, "x", says, "", 201, "PUT", f"{FILES}/{name}", OCTETS)


NAMES = (
    file("a path", "..%2F..%2Fetc%2Fpasswd", "a file's name holds no /, \\ or ..: '../../etc/passwd'"),
    kept("a path, encoded twice", "%252e%252e%252fetc", "stored as %2e%2e%2fetc"),
    file("two dots", "%2e%2e", "a file's name holds no /, \\ or ..: '..'"),
    file("a dot", "%2e", "a file's name holds no /, \\ or ..: '.'"),
    file("a path of Windows", "..%5C..%5Cboot.ini", "a file's name holds no /, \\ or ..: '..\\\\..\\\\boot.ini'"),
    file("an absolute path", "%2Fetc%2Fpasswd", "a file's name holds no /, \\ or ..: '/etc/passwd'"),
    file("a NUL character", "a%00.csv", "a file's name holds no control characters: 'a\\x00.csv'"),
    Row(
        "a line break",
        "x",
        "there is nothing at /api/v1/files/ab.csv: the routes are listed at /api/v1/openapi.json",
        "not-found",
        404,
        method="PUT",
        path=f"{FILES}/a%0D%0Ab.csv",
        kind=OCTETS,
    ),
    file("bytes that are not UTF-8", "caf%E9.csv", "a file's name is UTF-8 text, percent-encoded: 'caf�.csv'"),
    file("half a surrogate pair", "%ED%A0%80", "a file's name is UTF-8 text, percent-encoded: '���'"),
    file("300 characters", "x" * 300, "a file's name has 1 to 255 characters, not 300", "xxxx…"),
    file("only spaces", "%20%20", "a file's name begins and ends with something that can be seen: '  '"),
    kept("a device of Windows", "con.txt", "stored as con.txt"),
    kept("a dot at the end", "orders.csv.", "stored as orders.csv."),
    kept("an emoji", "%F0%9F%9A%80.csv", "stored as 🚀.csv"),
    kept("a change of direction", "a%E2%80%AEvsc.exe", "stored as a\u202evsc.exe"),
    Row(
        "a namespace that is a path",
        "x",
        "'../..' is no namespace: letters, digits, _ and -, at most 100",
        "bad-request",
        400,
        method="PUT",
        path=f"{FILES}/x.csv?namespace=../..",
        kind=OCTETS,
    ),
    Row(
        "a flow whose name is a path",
        FLOW,
        (
            "'..' cannot be the name of a flow: it has letters, digits, _ and -, at most 100, and "
            "begins with a letter or _"
        ),
        "bad-request",
        400,
        method="PUT",
        path=f"{FLOWS}/default/%2e%2e",
        kind=YAML,
    ),
    Row(
        "a flow with an emoji",
        FLOW,
        (
            "'🚀' cannot be the name of a flow: it has letters, digits, _ and -, at most 100, and "
            "begins with a letter or _"
        ),
        "bad-request",
        400,
        method="PUT",
        path=f"{FLOWS}/default/%F0%9F%9A%80",
        kind=YAML,
    ),
    Row(
        "a flow whose name has 300 characters",
        FLOW,
        (
            "'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff' cannot be the name of a "
            "flow: it has letters, digits, _ and -, at most 100, and begins with a letter or _"
        ),
        "bad-request",
        400,
        method="PUT",
        path=f"{FLOWS}/default/{'f' * 300}",
        kind=YAML,
        shown="…/ffff…",
    ),
    Row(
        "a run whose id is a path",
        "",
        ("there is nothing at /api/v1/runs/../../etc: the routes are listed at /api/v1/openapi.json"),
        "not-found",
        404,
        method="GET",
        path=f"{RUNS}/%2e%2e%2f%2e%2e%2fetc",
    ),
    Row(
        "a run whose id has a NUL",
        "",
        ("there is no run 'a\\x00b': `plugmesh runs` or GET /api/v1/runs lists them"),
        "not-found",
        404,
        method="GET",
        path=f"{RUNS}/a%00b",
    ),
    Row(
        "a run whose id has 300 characters",
        "",
        f"there is no run '{'r' * 300}': `plugmesh runs` or GET /api/v1/runs lists them",
        "not-found",
        404,
        method="GET",
        path=f"{RUNS}/{'r' * 300}",
        shown="…/rrrr…",
    ),
    Row(
        "a log whose step is a path",
        "",
        ("there is nothing at /api/v1/runs/run-1/steps/../x/logs: the routes are listed at /api/v1/openapi.json"),
        "not-found",
        404,
        method="GET",
        path=f"{RUNS}/run-1/steps/%2e%2e%2fx/logs",
    ),
    Row(
        "an artifact whose name is a path",
        "",
        ("there is no run 'run-1': `plugmesh runs` or GET /api/v1/runs lists them"),
        "not-found",
        404,
        method="GET",
        path=f"{RUNS}/run-1/steps/a/artifacts/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    ),
    Row(
        "an output whose port is a path",
        "",
        (
            "there is nothing at /api/v1/runs/run-1/steps/a/outputs/../x/download: the routes are "
            "listed at /api/v1/openapi.json"
        ),
        "not-found",
        404,
        method="GET",
        path=f"{RUNS}/run-1/steps/a/outputs/%2e%2e%2fx/download?format=csv",
    ),
    Row(
        "a module whose name is a path",
        "",
        ("there is nothing at /api/v1/modules/../x: the routes are listed at /api/v1/openapi.json"),
        "not-found",
        404,
        method="GET",
        path="/api/v1/modules/%2e%2e%2fx",
    ),
    Row(
        "a version of a file that is a path",
        "",
        "there is no file 'x.csv' in namespace default (did you mean '🚀.csv'?)",
        "not-found",
        404,
        method="GET",
        path=f"{FILES}/x.csv?version=../../state.db",
    ),
    Row(
        "an instance whose name is a path",
        "",
        ("there is nothing at /api/v1/instances/../x/drain: the routes are listed at /api/v1/openapi.json"),
        "not-found",
        404,
        path="/api/v1/instances/%2e%2e%2fx/drain",
    ),
    Row(
        "a setting whose name is a path",
        '{"value": 1}',
        ("there is nothing at /api/v1/settings/../x: the routes are listed at /api/v1/openapi.json"),
        "not-found",
        404,
        method="PUT",
        path="/api/v1/settings/%2e%2e%2fx",
    ),
)
