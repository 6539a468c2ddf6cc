"""Where replicas go when nobody says: spread evenly, the same for the same question."""

from collections.abc import Sequence
from zlib import crc32


def spread(
    topic: str, brokers: Sequence[int], partitions: range, replication_factor: int
) -> tuple[tuple[int, ...], ...]:
    """Replicas of each of these partitions, the preferred leader first.

    Leaders go round the brokers, beginning at one that depends on the topic's name; each further
    replica is on the next broker, and the gap widens with each round, so that the followers of one
    broker's leaders are spread, too.
    """
    count = len(brokers)
    first = crc32(topic.encode())
    placed = []
    for partition in partitions:
        leader = (first + partition) % count
        gap = partition // count
        others = [(leader + 1 + (gap + n) % (count - 1)) % count for n in range(count - 1)]
        chosen = [leader, *others][:replication_factor]
        placed.append(tuple(brokers[at] for at in chosen))
    return tuple(placed)
