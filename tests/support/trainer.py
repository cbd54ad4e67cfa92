"""A training script as a test runs it: each epoch forks workers that read all files in a new order.

    trainer = Trainer(self.space, self.space.mnt, epochs=5)
    trainer.wait_epoch()     # until it has read one more epoch
    trainer.go_on()          # it waits for this before the next
"""

import subprocess
import sys

WORKERS = 2

# A trainer: each epoch it forks workers that read the files of FOLDER in a new order; then it
# says so, and goes on when it is told to.
TRAINER = """
import os, random, sys
folder, workers, epochs, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
validation = sys.argv[5] if len(sys.argv) > 5 else None
def files(top):
    return sorted(os.path.join(at, name) for at, _, names in os.walk(top) for name in names)
def read(path):
    with open(path, "rb") as file:
        file.read()
paths = files(folder)
held_out = files(validation) if validation else []
for epoch in range(epochs):
    random.Random(1000 * seed + epoch).shuffle(paths)
    children = []
    for worker in range(workers):
        child = os.fork()
        if child == 0:
            for path in paths[worker::workers]:
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

    def __init__(self, space, folder, epochs, seed=1, validation=None, words=()):
        """`words`: before the script's own command line."""
        command = [*words, sys.executable, "-c", TRAINER, folder, str(WORKERS), str(epochs),
                   str(seed)] + ([validation] if validation else [])
        self.process = space.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   start_new_session=True)

    def wait_epoch(self):
        line = self.process.stdout.readline()
        assert line.startswith(b"epoch"), line

    def go_on(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
