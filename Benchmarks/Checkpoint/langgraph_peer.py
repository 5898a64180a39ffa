"""What checkpoint-benchmark does, with LangGraph's SqliteSaver.

langgraph_peer.py FILE STEPS prints one line of JSON; langgraph_peer.py FILE load only loads the latest state of it.
"""
import json
import os
import resource
import sqlite3
import sys
import time

from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.sqlite import SqliteSaver

path, steps = sys.argv[1], 0 if sys.argv[2] == "load" else int(sys.argv[2])
message = "x" * 2048


def connect():
    connection = sqlite3.connect(path, check_same_thread=False)
    saver = SqliteSaver(connection)
    saver.setup()
    connection.execute("PRAGMA synchronous=FULL")
    return connection, saver


connection, saver = connect()
if not steps:
    latest = saver.get_tuple({"configurable": {"thread_id": "1", "checkpoint_ns": ""}})
    assert latest.checkpoint["channel_values"]["messages"]
    raise SystemExit
config = {"configurable": {"thread_id": "1", "checkpoint_ns": ""}}
messages, commits = [], []
for step in range(1, steps + 1):
    messages.append({"role": "assistant", "content": message})
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = {"messages": messages}
    checkpoint["channel_versions"] = {"messages": step}
    begin = time.perf_counter_ns()
    config = saver.put(config, checkpoint, {"source": "loop", "step": step, "parents": {}}, {"messages": step})
    commits.append((time.perf_counter_ns() - begin) // 1000)
usage = resource.getrusage(resource.RUSAGE_SELF)
connection.close()
begin = time.perf_counter_ns()
connection, saver = connect()
latest = saver.get_tuple({"configurable": {"thread_id": "1", "checkpoint_ns": ""}})
load = (time.perf_counter_ns() - begin) // 1000
assert len(latest.checkpoint["channel_values"]["messages"]) == steps
size = sum(os.path.getsize(path + suffix) for suffix in ("", "-wal") if os.path.exists(path + suffix))


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


print(json.dumps({
    "steps": steps, "p50": percentile(commits, 0.5), "p99": percentile(commits, 0.99),
    "first_tenth_p50": percentile(commits[:steps // 10], 0.5),
    "last_tenth_p50": percentile(commits[-(steps // 10):], 0.5), "bytes": size,
    "cpu": int((usage.ru_utime + usage.ru_stime) * 1e6), "load": load,
}))
