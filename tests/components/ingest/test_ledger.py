"""What becomes of each file: the order of the rules, and patients who stay together."""

import hashlib
import io
import itertools
import random
from collections import Counter, defaultdict

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from components.ingest import report
from components.ingest.entry import Entry, IngestError
from components.ingest.inspection import IngestRecord, size_class
from components.ingest.ledger import Fate, decide
from components.ingest.near_duplicates import difference_hash, pairs
from components.ingest.settings import DataConfig
from components.ingest.spans import Spans
from components.ingest.splitting import limit
from pipeline.commands.tables import ledger_table
from tests.client.image_files import encoded

CONFIG = DataConfig(val_fraction=0.1, test_fraction=0.2)
ALIKE = "0" * 64


def record(
    path: str, content: str, label: int | None = 1, test: bool = False, **more
) -> IngestRecord:
    alike = hashlib.sha256(content.encode()).hexdigest()
    more = {"group": f"patient of {content}", "difference_hash": alike} | more
    return IngestRecord(path, path, label, test, sha256=content, **more)


def fates(*records: IngestRecord) -> dict[str, Fate]:
    return dict(zip((one.path for one in records), decide(records, CONFIG), strict=True))


def outcome(fate: Fate) -> str:
    return fate.reason or ("duplicate" if not fate.split else fate.split)


def test_the_same_bytes_count_once_in_train_and_val():
    result = fates(record("b", "x"), record("a", "x"), record("t", "y", test=True))
    assert result["a"].split in ("train", "val")
    assert result["b"] == Fate(duplicate_of=1)


def test_the_test_copy_wins():
    result = fates(record("a", "x"), record("t", "x", test=True))
    assert result == {"a": Fate(duplicate_of=1), "t": Fate(split="test")}


def test_an_official_test_split_stays_whole():
    result = fates(record("t1", "x", test=True), record("t2", "x", test=True))
    assert result == {"t1": Fate(split="test"), "t2": Fate(split="test", duplicate_of=0)}


def test_the_report_tells_what_is_odd_about_films():
    odd = [record(f"f{n}", f"x{n}", notes=["its ViewPosition is LL"]) for n in range(3)]
    odd.append(record("g", "y", notes=["its BodyPartExamined is HAND", "its ViewPosition is LL"]))
    notes = report.build(odd, [Fate(split="train")] * 4, {}).notes
    assert notes[-2:] == [
        "4 films: its ViewPosition is LL (the first: 'f0')",
        "1 film: its BodyPartExamined is HAND (the first: 'g')",
    ]


def test_two_labels_outside_test_reject_both():
    result = fates(record("a", "x", 0), record("b", "x", 1), record("c", "x", 1))
    assert {outcome(fate) for fate in result.values()} == {"conflicting_labels"}
    assert result["a"].detail == "same bytes as b"


def test_two_labels_against_test_reject_only_the_other():
    result = fates(record("a", "x", 0), record("b", "x", 1), record("t", "x", 1, test=True))
    assert {path: outcome(fate) for path, fate in result.items()} == {
        "a": "conflicting_labels",
        "b": "duplicate",
        "t": "test",
    }


def test_two_labels_within_test_both_stay_and_reject_what_is_outside():
    result = fates(
        record("a", "x", 0), record("s", "x", 0, test=True), record("t", "x", 1, test=True)
    )
    assert {path: outcome(fate) for path, fate in result.items()} == {
        "a": "conflicting_labels",
        "s": "test",
        "t": "test",
    }


def test_unreadable_comes_before_everything_and_unlabelled_next():
    broken = {"reason": "truncated", "detail": "cut off"}
    result = fates(
        record("a", "", None, **broken), record("b", "", 0, **broken), record("c", "x", None),
        record("d", "x", 0),
    )  # fmt: skip
    assert [outcome(result[path]) for path in "abc"] == ["truncated", "truncated", "unlabelled"]
    assert result["d"].split


def test_a_patient_of_the_test_split_is_not_trained_on():
    result = fates(record("a", "x", group="P"), record("t", "y", test=True, group="P"))
    assert outcome(result["a"]) == "patient_in_test"


def test_patients_who_share_a_film_are_one():
    result = fates(
        record("a", "x", group="B"),
        record("b", "y", group="B"),
        record("c", "y", group="C"),
        record("d", "z", group="C"),
        record("t", "x", test=True, group="A"),
    )
    assert {path: outcome(fate) for path, fate in result.items()} == {
        "a": "duplicate",
        "b": "patient_in_test",
        "c": "duplicate",
        "d": "patient_in_test",
        "t": "test",
    }


def test_without_an_official_test_split_films_of_joined_patients_stay_together():
    pairs_of_ids = [
        record(
            f"{who}-{film}", f"{who} {film if own else 'shared'}", who % 2, group=f"{who} {film}"
        )
        for who in range(40)
        for film in "ab"
        for own in (True, False)
    ]
    of_child = defaultdict(set)
    for one, fate in zip(pairs_of_ids, decide(pairs_of_ids, CONFIG), strict=True):
        if fate.split:
            of_child[one.path.partition("-")[0]].add(fate.split)
    assert {len(splits) for splits in of_child.values()} == {1}
    assert set.union(*of_child.values()) == {"train", "val", "test"}


def test_without_an_official_test_split_one_is_divided_off():
    records = [record(f"{i}", f"{i}", i % 2) for i in range(100)]
    decided = zip(records, decide(records, CONFIG), strict=True)
    counts = Counter((fate.split, one.label) for one, fate in decided)
    assert counts == {
        ("test", 0): 10, ("test", 1): 10, ("val", 0): 5, ("val", 1): 5,
        ("train", 0): 35, ("train", 1): 35,
    }  # fmt: skip


def crowd(seed: int = 0) -> list[IngestRecord]:
    """400 films of patients with one to nine films, with every kind of trouble among them."""
    dice = random.Random(seed)
    groups = [f"{dice.getrandbits(80):020x}" for _ in range(120)]
    return [
        record(
            f"{number}",
            f"{dice.randrange(330)}",
            dice.choice((0, 1, 1, None)),
            dice.random() < 0.1,
            group=dice.choice(groups),
            reason=dice.choice(("", "", "", "", "unreadable")),
        )
        for number in range(400)
    ]


@pytest.mark.parametrize("seed", range(20))
def test_seen_is_written_plus_duplicates_plus_rejected_and_nothing_leaks(seed):
    records = crowd(seed)
    decided = decide(records, CONFIG)
    assert len(decided) == len(records)
    result = report.build(records, decided, left_out={})
    assert result.seen == result.written + result.duplicates + result.rejected == 400
    assert sum(result.reasons.values()) == result.rejected
    assert sum(counts["films"] for counts in result.splits.values()) == result.written
    where = defaultdict(set)
    for one, fate in zip(records, decided, strict=True):
        if fate.split:
            where["patient", one.group].add(fate.split)
            where["bytes", one.sha256].add(fate.split)
    assert all(len(splits) == 1 for splits in where.values())


def test_films_of_an_earlier_ingest_keep_their_split_and_their_patients_join_them():
    old = [record(f"{n}", f"x{n}", n % 2) for n in range(60)]
    before = {one.sha256: fate.split for one, fate in zip(old, decide(old, CONFIG), strict=True)}
    further = [record(f"more of {n}", f"y{n}", n % 2, group=f"patient of x{n}") for n in range(60)]
    new = [record(f"new {n}", f"z{n}", n % 2) for n in range(40)]
    records = [*new, *further, *old]
    splits = dict(
        zip((one.sha256 for one in records), decide(records, CONFIG, before), strict=True)
    )
    for n in range(60):
        assert splits[f"x{n}"].split == splits[f"y{n}"].split == before[f"x{n}"]
    assert {splits[f"z{n}"].split for n in range(40)} == {"train", "val", "test"}


def test_a_further_ingest_is_a_span_of_its_own_and_says_what_joined(tmp_path):
    def ingested(folder, since, records):
        spans = Spans.since(since)
        decided = decide(records, CONFIG, spans.splits)
        notes = spans.notes(records, decided)
        spans.write(str(folder), records, decided)
        return spans.span, notes, f"{folder}/films.csv"

    first = [record(f"{n}", f"x{n}", n % 2) for n in range(30)]
    span, notes, films = ingested(tmp_path, "", first)
    assert (span, notes) == (0, [])
    with pytest.raises(IngestError, match="leave --since out"):
        ingested(tmp_path, films, first)
    later = [*first[1:], *(record(f"new {n}", f"z{n}", n % 2) for n in range(12))]
    span, notes, films = ingested(tmp_path, films, later)
    assert span == 1
    assert notes == [
        "12 films joined as span 1; the others keep their splits",
        "films of earlier spans that are gone: 1",
    ]
    known = Spans.since(films)
    assert (known.spans["x1"], known.spans["z1"], known.span) == (0, 1, 2)
    assert "x0" in known.splits, "it may come back"


def test_who_was_trained_on_is_not_judged_on_in_an_official_test_split_that_came_later():
    old = [record(f"{n}", f"x{n}", n % 2) for n in range(40)]
    before = {one.sha256: fate.split for one, fate in zip(old, decide(old, CONFIG), strict=True)}
    trained = next(n for n in range(40) if before[f"x{n}"] == "train")
    moved = [record(f"test/{one.path}", one.sha256, one.label, test=True) for one in old]
    more = record("test/more", "y", 1, test=True, group=f"patient of x{trained}")
    new = record("test/new", "z", 1, test=True)
    records = [*moved, more, new]
    found = dict(zip((r.sha256 for r in records), decide(records, CONFIG, before), strict=True))
    assert {sha256: found[sha256].split for sha256 in before} == before
    assert (found["y"].split, found["z"].split) == ("train", "test")


def test_a_few_films_that_join_go_where_a_split_lacks_its_share():
    old = [record(f"{n}", f"x{n}", n % 2) for n in range(100)]
    before = {one.sha256: fate.split for one, fate in zip(old, decide(old, CONFIG), strict=True)}
    new = [record(f"new {n}", f"z{n}", n % 2) for n in range(4)]
    records = [*old, *new]
    splits = dict(zip((r.sha256 for r in records), decide(records, CONFIG, before), strict=True))
    counts = Counter(fate.split for fate in splits.values())
    assert Counter(splits[f"z{n}"].split for n in range(4))["train"] >= 2
    assert (counts["val"], counts["test"]) == (10, 20)


def test_the_order_of_the_files_changes_nothing():
    records = crowd()
    expected = {path: outcome(fate) for path, fate in fates(*records).items()}
    random.Random(1).shuffle(records)
    assert {path: outcome(fate) for path, fate in fates(*records).items()} == expected


def test_one_patient_with_most_films_does_not_fill_the_validation_split():
    many = [record(f"{i}", f"{i}", group="00") for i in range(50)]
    few = [record(f"few {i}", f"few {i}", group=f"{i + 1:02d}") for i in range(50)]
    result = report.build(many + few, decide(many + few, CONFIG), {})
    assert (result.splits["val"]["films"], result.splits["test"]["films"]) == (10, 20)


def entry(number: int, label: int, films: int = 1, test: bool = False) -> list[Entry]:
    return [
        Entry(f"{label}/p{number}-{film}.jpeg", label, test, patient=f"{label} p{number}")
        for film in range(films)
    ]


def test_a_limit_takes_whole_patients_of_both_classes():
    entries = [
        one for number in range(100) for label in (0, 1) for one in entry(number, label, 1 + label)
    ]
    kept = limit(entries, 30, None, seed=20)
    assert Counter(one.label for one in kept) == {0: 30, 1: 30}
    films = Counter(one.patient for one in kept)
    assert all(count == 1 + int(patient[0]) for patient, count in films.items())
    assert set(limit(entries[::-1], 30, None, seed=20)) == set(kept)
    assert set(limit(entries, 30, None, seed=21)) != set(kept)


def test_a_limit_leaves_the_official_test_split_whole_and_small_classes_too():
    entries = [one for n in range(50) for one in entry(n, 1, test=n < 40) + entry(n, 0)[: n < 5]]
    kept = limit(entries, 8, None, seed=20)
    assert Counter((one.label, one.official_test) for one in kept) == {
        (1, True): 40, (1, False): 8, (0, False): 5,
    }  # fmt: skip


def test_too_many_rejects_are_one_clear_line():
    bad = [record(f"NORMAL/{i}\n.jpeg", "", reason="truncated") for i in range(6)]
    records = bad + [record(f"{i}", f"{i}") for i in range(94)]
    decided = decide(records, CONFIG)
    result = report.build(records, decided, {})
    report.check(result, records, decided, max_rejected=0.06)
    said = r"6 of 100 files are rejected, .* 5% allows: 6 truncated, such as 'NORMAL/0"
    with pytest.raises(IngestError, match=said) as e:
        report.check(result, records, decided, max_rejected=0.05)
    assert "\n" not in str(e.value)


def test_a_set_of_one_patient_is_refused_with_the_remedy():
    records = [
        record(f"{i}.dcm", f"{i}", i % 2, group="ANON", patient_from="dicom") for i in range(40)
    ]
    decided = decide(records, CONFIG)
    with pytest.raises(IngestError, match=r"40 of 40 films are of one patient .*dicom.*manifest"):
        report.check(report.build(records, decided, {}), records, decided, max_rejected=0)


def test_names_that_are_not_utf8_can_be_written():
    train = record("R\udcf6ntgen.jpg", "x", difference_hash=ALIKE, group="P")
    test = record("t.jpg", "y", test=True, difference_hash=ALIKE, group="Q")
    others = [record(f"{i}", f"{i}", label=i % 2) for i in range(20)]
    records = [train, test, *others]
    told = report.build(records, decide(records, CONFIG), {})
    (names,) = told.near_duplicates
    assert any("ntgen" in name for name in names)
    assert " ".join(names).encode()


def test_nothing_left_is_an_error_whatever_the_limit():
    records = [record("a", "", reason="not_an_image")]
    decided = decide(records, CONFIG)
    with pytest.raises(IngestError, match="nothing is left"):
        report.check(report.build(records, decided, {}), records, decided, max_rejected=1)


def test_the_table_shows_every_count_and_note():
    records = [*crowd(), record("left [red]", "own", patient_from="file")]
    result = report.build(records, decide(records, CONFIG), left_out={"a word": 1234})
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(ledger_table(result))
    shown = console.export_text()
    for count in (result.seen, result.duplicates, result.rejected, *result.reasons.values()):
        assert f" {count:,} " in shown
    assert "each counts as its own patient" in shown
    assert "1,234 files are left out: a word" in shown


def picture(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (10, 10), np.uint8)
    return Image.fromarray(coarse).resize((300, 300), Image.Resampling.BICUBIC)


def test_copies_across_splits_are_found_and_different_films_are_not():
    films = [encoded(picture(seed), "JPEG") for seed in range(40)]
    copies = [
        encoded(picture(3).resize((180, 180)), "JPEG", quality=60),
        encoded(picture(7).point(lambda value: value * 0.9), "PNG"),
    ]
    hashes = [difference_hash(data) for data in films + copies]
    assert sorted(pairs(hashes, ["train"] * 40 + ["test"] * 2)) == [(3, 40), (7, 41)]
    assert list(pairs(hashes, ["train"] * 42)) == []


def test_pairs_up_to_seven_bits_apart_are_found_wherever_the_bits_are():
    dice = random.Random(0)
    for distance, trial in itertools.product((0, 1, 7, 8), range(20)):
        first = dice.getrandbits(256)
        second = first
        for bit in dice.sample(range(256), distance):
            second ^= 1 << bit
        found = list(pairs([f"{first:064x}", f"{second:064x}"], ["train", "val"]))
        assert found == ([(0, 1)] if distance <= 7 else []), trial


def test_many_blank_pictures_do_not_take_for_ever():
    assert list(pairs([ALIKE] * 5000, ["train", "test"] * 2500)) == []


@pytest.mark.parametrize(
    ("size", "name"),
    [
        ((799, 5000), "small"),
        ((800, 801), "medium"),
        ((2000, 1199), "medium"),
        ((1200, 1200), "large"),
    ],
)
def test_the_shorter_side_makes_the_size_class(size, name):
    assert size_class(*size) == name
