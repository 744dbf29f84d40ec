"""Data sets laid out as they are published, with made films in place of the real ones."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.datasets import archives
from tests.client.image_files import dicom, grey
from tests.components.ingest.xray_sets import films, write

Laid = tuple[Path, dict[str, Any], int]  # where, the configuration, films that are left out

_CHEXPERT = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,"
    "Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,"
    "Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
_CHEXPERT_ROWS = (  # view, labels; the last three are left out
    ("Frontal,AP", "1.0,,,,,,,,,,,,,1.0"),
    ("Frontal,PA", ",,,0.0,,,,1.0,-1.0,,,,,"),
    ("Frontal,AP", ",,1.0,,,,,0.0,,,,,,"),
    ("Frontal,AP", ",,,1.0,,,,-1.0,,,,,,"),
    ("Frontal,AP", ",0.0,1.0,,,,,,,,1.0,,,"),
    ("Lateral,", "1.0,,,,,,,,,,,,,"),
)
_NIH = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
_NIH_LABELS = ("No Finding", "Infiltration|Pneumonia", "No Finding", "Cardiomegaly|Emphysema")
_RSNA = "patientId,x,y,width,height,Target"


def chexpert(base: Path, count: int) -> Laid:
    rows, files = [_CHEXPERT], {}
    for number, data in enumerate(films(count, "{n}").values()):
        view, labels = _CHEXPERT_ROWS[number % len(_CHEXPERT_ROWS)]
        split = "train" if number % 10 else "valid"
        path = (
            f"{split}/patient{number // 3:05d}/study{number % 3 + 1}/view1_{view[:7].lower()}.jpg"
        )
        files[path] = data
        if split == "train":
            rows.append(f"CheXpert-v1.0-small/{path},Female,68,{view},{labels}")
        else:
            rows.append(f"CheXpert-v1.0-small/{path},Male,50,{view},{labels}")
    files["train.csv"] = "\n".join(rows).encode()
    left_out = sum(number % len(_CHEXPERT_ROWS) >= 3 for number in range(count))
    return write(base, files), {}, left_out


def nih(base: Path, count: int) -> Laid:
    rows, files = [_NIH], {}
    for number, data in enumerate(films(count, "{n}").values()):
        patient, label = number // 3 + 1, _NIH_LABELS[number % len(_NIH_LABELS)]
        name = f"{patient:08d}_{number % 3:03d}.png"
        files[f"images_{number % 12 + 1:03d}/images/{name}"] = data
        rows.append(f"{name},{label},{number % 3},{patient},58,M,PA,2682,2749,0.143,0.143,")
    files["Data_Entry_2017_v2020.csv"] = "\n".join(rows).encode()
    return write(base, files), {}, sum(number % 4 == 3 for number in range(count))


def rsna(base: Path, count: int) -> Laid:
    rows, files = [_RSNA], {}
    for number in range(count):
        name = f"{number:08x}-14fd-4e49-80ba-63a80b6bddd6"
        files[f"stage_2_train_images/{name}.dcm"] = dicom(
            grey(48, 56, number), bits=8, PatientID=name, ViewPosition="PA"
        )
        boxes = ("264.0,152.0,213.0,379.0,1", "562.0,152.0,256.0,453.0,1")
        rows += [f"{name},{box}" for box in (boxes if number % 3 == 0 else (",,,,0",))]
    files["stage_2_train_labels.csv"] = "\n".join(rows).encode()
    return write(base, files), {}, 0


def spreadsheet(base: Path, count: int) -> Laid:
    """A semicolon, Windows' paths and line ends, decimal commas, words in any case, empty rows."""
    words = ("Normal", " PNEUMONIA ", "No Finding", "1", "0,0", "TRUE", "false", "pneumonia")
    rows, files = ["sep=;", "Patient_ID; PATH ;Label;Alter"], {}
    for number, data in enumerate(films(count, "{n}").values()):
        files[f"Röntgen/film {number}.jpg"] = data
        word = words[number % len(words)]
        rows.append(f"P{number // 2};Röntgen\\film {number}.jpg;{word};{number % 90},5")
    rows += [";;;", ""]
    files["manifest.csv"] = "\r\n".join(rows).encode("utf-8-sig")
    return write(base, files), {}, 0


def patients_by_folder(base: Path, count: int) -> Laid:
    pattern = "{label}/patient{n:05d}/study1/view1_frontal.jpg"
    healthy = films(count // 2, pattern.replace("{label}", "NORMAL"))
    sick = films(count - count // 2, pattern.replace("{label}", "PNEUMONIA"), 5000)
    return write(base, healthy | sick), {"patient_pattern": r"(patient\d+)"}, 0


def with_masks(base: Path, count: int) -> Laid:
    folders = (("NORMAL", 0), ("PNEUMONIA", 5000))
    found: dict[str, bytes] = {}
    for label, seed in folders:
        for name, first in (("images", seed), ("masks", seed + 20_000)):
            found |= films(count // 4, f"{label}/{name}/IM-{{n:04d}}-0001.png", first)
    return write(base, found), {}, len(found) // 2


def zipped(base: Path, count: int) -> Laid:
    source, config, left_out = nih(base.with_name("nih"), count)
    archive = base.with_name("nih.zip")
    with zipfile.ZipFile(archive, "w") as content:
        for path in source.rglob("*.*"):
            content.write(path, Path("nih") / path.relative_to(source))
    archives.unpack(archive, base)
    return base, config, left_out


def tarred(base: Path, count: int) -> Laid:
    source, config, left_out = patients_by_folder(base.with_name("source"), count)
    archive = base.with_name("set.tar.gz")
    with tarfile.open(archive, "w:gz") as content:
        content.add(source, ".")
    archives.unpack(archive, base)
    return base, config, left_out


def medmnist(base: Path, count: int) -> Laid:
    shares = {"train": count * 8 // 10, "val": count // 10}
    shares["test"] = count - sum(shares.values())
    arrays = {}
    for seed, (split, size) in enumerate(shares.items()):
        arrays[f"{split}_images"] = np.stack([grey(28, 28, seed * 10**4 + n) for n in range(size)])
        arrays[f"{split}_labels"] = np.arange(size, dtype=np.uint8)[:, None] % 2
    archive = base.with_name("pneumoniamnist_224.npz")
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    archive.write_bytes(file.getvalue())
    archives.unpack(archive, base)
    return base, {}, 0


SHAPES: tuple[Callable[[Path, int], Laid], ...] = (
    *(chexpert, nih, rsna, spreadsheet, patients_by_folder, with_masks),
    *(zipped, tarred, medmnist),
)
