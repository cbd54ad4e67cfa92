"""A training script as a test runs it: each epoch forks workers that read all files in a new order.

    trainer = Trainer(self.space, self.space.mnt, epochs=5)
    trainer.wait_epoch()     # until it has read one more epoch
    trainer.go_on()          # it waits for this before the next
"""

import json
import os
import subprocess
import sys

WORKERS = 2

# A trainer: each epoch it forks workers that read the files of a folder in a new order, or as many
# drawn by their weights; then it says so, and goes on when it is told to.
TRAINER = """
import json, os, random, sys
told = json.loads(sys.stdin.readline())
workers, weights = told["workers"], told["weights"]
def files(top):
    return sorted(os.path.join(at, name) for at, _, names in os.walk(top) for name in names)
def read(path):
    with open(path, "rb") as file:
        file.read()
paths = files(told["folder"])
held_out = files(told["validation"]) if told["validation"] else []
for epoch in range(told["epochs"]):
    dice = random.Random(1000 * told["seed"] + epoch)
    order = dice.choices(paths, weights, k=len(paths)) if weights else list(paths)
    if not weights:
        dice.shuffle(order)
    children = []
    for worker in range(workers):
        child = os.fork()
        if child == 0:
            for path in order[worker::workers]:
                read(path)
            os._exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    for path in held_out:
        read(path)
    print("epoch", epoch, flush=True)
    sys.stdin.readline()
"""


class Steered:
    """A process in a session of its own, as one that was started from a shell of its own. It is
    told what to do in one line of JSON, and to go on after all that it says."""

    def __init__(self, space, command, told):
        self.process = space.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   start_new_session=True)
        self._say(json.dumps(told))

    def wait_epoch(self):
        self.wait_for(b"epoch")

    def wait_for(self, word):
        line = self.process.stdout.readline()
        assert line.startswith(word), line

    def go_on(self):
        self._say("")

    def _say(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()


class Trainer(Steered):
    def __init__(self, space, folder, epochs, seed=1, validation=None, weights=None, words=()):
        """`weights`: of the folder's files in the order of their paths. `words`: before the
        script's own command line."""
        super().__init__(space, [*words, sys.executable, "-c", TRAINER],
                         {"folder": folder, "workers": WORKERS, "epochs": epochs, "seed": seed,
                          "validation": validation, "weights": weights})


class Loader(Steered):
    """One of loader_program.py, which says what may be `told`."""

    def __init__(self, space, kind, roots, epochs, words=(), **told):
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "loader_program.py")
        super().__init__(space, [*words, sys.executable, "-B", program],
                         {"kind": kind, "roots": roots, "epochs": epochs, "seed": 1, "batch": 64,
                          "drop_last": False, "share": 1, "step": 0, **told})
