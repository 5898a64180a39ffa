#!/usr/bin/python3
"""Tries each escape in the jail and without it, as the user that runs this, and prints a line of JSON for each.

For test_container.py: it runs in the container, where there is no pytest.
"""
import json
import os
import subprocess

import jailed
from escapes import ESCAPES, LISTENER, bare_needs

for name, script in ESCAPES.items():
    if bare_needs(name):
        continue
    workspace = jailed.Workspace(os.getuid())
    listener = workspace.background(
        ["/usr/bin/python3", "-c", LISTENER, str(workspace.root)], stdout=subprocess.PIPE, text=True)
    port = listener.stdout.readline().strip()
    facts = f"export VICTIM={listener.pid} PORT={port} ABSTRACT={workspace.root} SOCKET={workspace.root}/socket\n"
    within = workspace.run(facts + script)
    bare = workspace.bare(facts + script)
    print(json.dumps({"escape": name, "uid": os.getuid(), "jailed": within.code, "bare": bare.code,
                      "said": (within.err + bare.err)[-300:]}), flush=True)
    workspace.close()
