"""How much memory the handlers take for the largest batch: `python -m tests.simulation.memory`.

Seven changes of 800 KB each, old and new image of 400 KB, which no compression makes smaller. A
process of its own, because the peak of a process never goes down; the simulation is in it too.
"""

import random
import resource
import sys
from pathlib import Path

from tests.simulation.consumers import in_world
from tests.simulation.scenario import Scenario, Settings, Write
from tests.simulation.scheduler import SECOND
from tests.simulation.world import World

RECORDS, IMAGE_BYTES = 7, 400 * 1000


def peak_mb():
    """Peak memory of this program so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: on Linux, what started this process counts there as well.
        lines = dict(line.split(":", 1) for line in status.read_text("utf-8").splitlines())
        return int(lines["VmHWM"].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # In bytes on a Mac.


def main(consumer):
    """Have one consumer handle the batch; tells the peak before and after, in MB."""
    dice = random.Random(1)  # noqa: S311 - dice, not secrets
    writes = [
        Write(at * SECOND, item, {"Text": {"S": dice.randbytes(IMAGE_BYTES // 2).hex()}})
        for at in range(2)
        for item in range(RECORDS)
    ]
    world = World(Scenario(1, Settings(), ()))
    for write in writes:
        world.source.write(write, write.at)
    texts = [record.text for record in world.source.log[RECORDS:]]
    with in_world(world):
        before = peak_mb()
        world.invoke(consumer, texts, world.problems.append)
        world.scheduler.run()
    size = sum(map(len, texts)) / 2**20
    sys.stdout.write(f"{size:.2f} {before:.1f} {peak_mb():.1f} {world.problems}\n")


if __name__ == "__main__":
    main(sys.argv[1])
