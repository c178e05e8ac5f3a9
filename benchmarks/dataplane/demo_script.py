"""What the demo's flow does, as one DuckDB script in one process: `demo_script.py FLIGHTS AIRLINES ROUNDS`.

Prints the seconds of each round (one before them warms it up) and the answer, as JSON. DuckDB learns the types of columns
from the first 20,480 lines; `io.read` looks at all of them.
"""

import json
import sys
import time

import duckdb

_SQL = """
    SELECT by_carrier.*, airlines.name
    FROM (
        SELECT carrier, count(*) AS n, avg(arr_delay) AS mean_delay
        FROM read_csv(?, nullstr=['', 'NA']) WHERE arr_delay > 15 GROUP BY carrier
    ) by_carrier LEFT JOIN read_csv(?) airlines USING (carrier)
"""


def main(flights: str, airlines: str, rounds: int) -> None:
    """Run it again and again on one connection."""
    connection = duckdb.connect()
    taken = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        answer = connection.sql(_SQL, params=[flights, airlines]).to_arrow_table()
        taken.append(time.perf_counter() - begin)
    print(json.dumps({"seconds": taken[1:], "answer": answer.to_pylist()}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
