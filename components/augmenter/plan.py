"""Which training images are augmented, and how often: decided by keys alone, never by pixels."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """How many augmented copies each image of the minority class gets."""

    minority: int | None = None  # label; None: the classes are as balanced as was asked
    copies: int = 0
    one_more_before: str = ""  # keys that sort before this one get a copy more

    def copies_of(self, label: int, key: str) -> int:
        """The number of augmented copies of one image.

        Args:
            label: the image's, 0 or 1.
            key: the image's, of `number_repeats`.
        """
        return self.copies + (key < self.one_more_before) if label == self.minority else 0


def make_plan(images: Sequence[tuple[int, str]], balance: float) -> Plan:
    """Brings the minority class up to a share of the majority, spread evenly over its images.

    Args:
        images: label (0 or 1) and identity of each training image, in any order.
        balance: the minority's wanted count as a share, 0..1, of the majority's.
    """
    counts = Counter(label for label, _ in images)
    if len(counts) < 2:
        return Plan()
    (_, majority), (minority, present) = counts.most_common()
    missing = round(balance * majority) - present
    if missing <= 0:
        return Plan()
    keys = number_repeats(identity for label, identity in images if label == minority)
    copies, more = divmod(missing, present)
    return Plan(minority, copies, keys[more])


def number_repeats(identities: Iterable[str]) -> list[str]:
    """Sorted keys, one for each image, so that byte-identical images can be told apart.

    Example:
        >>> number_repeats(["b", "a", "b"])
        ['a-0000', 'b-0000', 'b-0001']
    """
    counts = Counter(identities)
    return [f"{name}-{number:04d}" for name in sorted(counts) for number in range(counts[name])]


def is_drawn(seed: int, key: str, share: float) -> bool:
    """Whether an image is among the drawn share; of seed and key alone.

    Args:
        seed: of the draw.
        key: the image's, of `number_repeats`.
        share: of all images that is drawn, in [0,1].
    """
    digest = hashlib.sha256(f"{seed}/{key}/drawn".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
