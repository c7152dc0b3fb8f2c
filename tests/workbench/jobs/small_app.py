"""A stand-in for the app: recovers, supervises, and does nothing else. Killed by tests."""

import signal
import sys
import time

from workbench.jobs.supervisor import Patience, Supervisor
from workbench.workspace import Workspace

if __name__ == "__main__":
    # A shell that runs the tests in the background has it ignored, for all that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    workspace = Workspace.open(sys.argv[1])
    workspace.jobs.recover()
    Supervisor(workspace, patience=Patience(flag=1.0, terminate=0.5)).start()
    print("ready", flush=True)
    while True:
        time.sleep(60)
