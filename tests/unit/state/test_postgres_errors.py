"""What PostgreSQL says when no connection can be had: a wrong setting, or an outage that is waited out."""

import psycopg
import pytest

from plugmesh.state.postgres import Postgres

AT = 'connection failed: connection to server at "10.0.0.1", port 5432 failed: '


@pytest.mark.parametrize(
    "said",
    [
        AT + 'FATAL:  password authentication failed for user "me"',
        AT + 'FATAL:  Peer authentication failed for user "me"',
        AT + "FATAL:  SASL authentication failed",
        AT + "fe_sendauth: no password supplied",
        AT + 'FATAL:  database "x" does not exist',
        AT + 'FATAL:  role "me" does not exist',
        AT + 'FATAL:  role "me" is not permitted to log in',
        AT + 'FATAL:  permission denied for database "x"\nDETAIL:  User does not have CONNECT privilege.',
        AT + 'FATAL:  no pg_hba.conf entry for host "10.0.0.2", user "me", database "x", no encryption',
        AT + 'FATAL:  pg_hba.conf rejects connection for host "10.0.0.2", user "me", database "x"',
        AT + 'FATAL:  database "template0" is not currently accepting connections',
        AT + 'FATAL:  unrecognized configuration parameter "speed"',
        AT + "server does not support SSL, but SSL was required",
        AT + "SSL error: certificate verify failed",
        AT + 'server certificate for "db" does not match host name "10.0.0.1"',
        AT + 'root certificate file "/ca.pem" does not exist\nEither provide the file or change sslmode',
        AT + 'could not read certificate file "/c.pem": No such file or directory',
        AT + "received invalid response to SSL negotiation: H",
        AT + "FATAL:  no such database: x",
        AT + "FATAL:  unsupported startup parameter: options",
        'invalid connection option "speed"',
        'invalid sslmode value: "high"',
        'invalid port number: "99999"',
    ],
)
def test_what_only_a_setting_can_change_is_a_refusal(said: str) -> None:
    assert Postgres().refused(psycopg.OperationalError(said))


@pytest.mark.parametrize(
    "said",
    [
        AT + "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?",
        AT + "FATAL:  the database system is starting up",
        AT + "FATAL:  the database system is shutting down",
        AT + "FATAL:  the database system is not yet accepting connections\nDETAIL:  Consistent recovery state has not "
        "been yet reached.",
        AT + "FATAL:  terminating connection due to administrator command",
        AT + "SSL connection has been closed unexpectedly",
        AT + "SSL SYSCALL error: EOF detected",
        AT + "SSL SYSCALL error: Connection reset by peer",
        AT + "SSL error: unexpected eof while reading",
        AT + "could not receive data from server: Connection reset by peer",
        AT + "could not send startup packet: Broken pipe",
        AT + "server closed the connection unexpectedly",
        AT + "FATAL:  server login has been failing, cached error: connect failed (server_login_retry)",
        AT + "FATAL:  sorry, too many clients already",
        AT + "FATAL:  canceling authentication due to timeout",
        AT + "FATAL:  out of memory",
        AT + 'ERROR:  could not open file "global/1260": Too many open files',
        'connection to server on socket "/run/postgresql/.s.PGSQL.5432" failed: No such file or directory',
        "connection timeout expired",
        "failed to resolve host 'db': [Errno -3] Temporary failure in name resolution",
        "failed to resolve host 'invalid.example': [Errno -2] Name or service not known",
        'connection failed: connection to server at "certificate.example" (::1), port 5432 failed: Connection refused',
        "something that nobody has ever read",
    ],
)
def test_everything_else_is_an_outage(said: str) -> None:
    assert not Postgres().refused(psycopg.OperationalError(said))


@pytest.mark.parametrize(
    ("error", "is_refusal"),
    [
        (psycopg.errors.InvalidPassword(), True),
        (psycopg.errors.InvalidCatalogName(), True),
        (psycopg.errors.InsufficientPrivilege(), True),
        (psycopg.errors.AdminShutdown("does not exist"), False),
        (psycopg.errors.CannotConnectNow(), False),
    ],
)
def test_a_code_says_more_than_a_text(error: psycopg.Error, is_refusal: bool) -> None:
    assert Postgres().refused(error) == is_refusal
