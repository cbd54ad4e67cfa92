"""A training script as a test runs it: each epoch forks workers that read all files in a new order.

    trainer = Trainer(self.space, self.space.mnt, epochs=5)
    trainer.wait_epoch()     # until it has read one more epoch
    trainer.go_on()          # it waits for this before the next
"""

import json
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


class Trainer:
    """A process in a session of its own, as one that was started from a shell of its own."""

    def __init__(self, space, folder, epochs, seed=1, validation=None, weights=None, words=()):
        """`weights`: of the folder's files in the order of their paths. `words`: before the
        script's own command line."""
        self.process = space.start([*words, sys.executable, "-c", TRAINER], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, start_new_session=True)
        told = {"folder": folder, "workers": WORKERS, "epochs": epochs, "seed": seed,
                "validation": validation, "weights": weights}
        self._say(json.dumps(told))

    def wait_epoch(self):
        line = self.process.stdout.readline()
        assert line.startswith(b"epoch"), line

    def go_on(self):
        self._say("")

    def _say(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
