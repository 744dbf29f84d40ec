"""Flink's class path: resolved by Maven once, or named, or asked for in one line."""

from pathlib import Path

import pytest

from pipeline.beam.flink import jars
from pipeline.beam.flink.jars import FlinkError

# Writes one jar where it is told to, and a line about it to show that it ran.
MAVEN = """#!/bin/sh
echo run >> {log}
for word; do case $word in -DoutputDirectory=*) folder=${{word#*=}};; esac; done
mkdir "$folder" && touch "$folder/flink.jar"
"""
REFUSING_MAVEN = """#!/bin/sh
echo '[INFO] Scanning'
echo '[ERROR] Could not find artifact org.example:flink'
echo '[ERROR] Help 1'
exit 1
"""


def program(path: Path, text: str = "#!/bin/sh\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture(autouse=True)
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH beside the shell's own; no Maven in it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("mkdir", "touch"):
        (folder / name).symlink_to(next(p for p in (f"/bin/{name}", f"/usr/bin/{name}")))
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv(jars.JAR, raising=False)
    return folder


def test_maven_is_asked_once(programs: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    program(programs / "mvn", MAVEN.format(log=log))
    found = jars.class_path(cache=tmp_path / "cache")
    assert found.endswith("/*")
    assert [path.name for path in Path(found).parent.iterdir()] == ["flink.jar"]
    assert jars.class_path(cache=tmp_path / "cache") == found
    assert log.read_text() == "run\n"
    assert list((tmp_path / "cache").iterdir()) == [Path(found).parent]


def test_what_maven_lacks_is_told_with_the_remedy(programs: Path, tmp_path: Path) -> None:
    program(programs / "mvn", REFUSING_MAVEN)
    with pytest.raises(FlinkError, match=r"org\.example:flink; .*PNEUMONIA_FLINK_JAR") as told:
        jars.class_path(cache=tmp_path / "cache")
    assert "\n" not in str(told.value)
    assert not list((tmp_path / "cache").iterdir())


def test_without_maven_the_remedy_is_told(tmp_path: Path) -> None:
    with pytest.raises(FlinkError, match=r"install it \(Debian: maven\).*PNEUMONIA_FLINK_JAR"):
        jars.class_path(cache=tmp_path / "cache")


def test_a_named_jar_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jar = tmp_path / "mine.jar"
    monkeypatch.setenv(jars.JAR, str(jar))
    with pytest.raises(FlinkError, match=r"mine\.jar: no such file"):
        jars.class_path()
    jar.touch()
    assert jars.class_path() == str(jar)
    other = tmp_path / "other.jar"
    other.touch()
    assert jars.class_path(str(other)) == str(other)


def test_without_java_the_remedy_is_told() -> None:
    with pytest.raises(FlinkError, match="Java 11 or newer"):
        jars.java()


def test_java_home_goes_before_the_path(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(programs / "java")
    assert jars.java() == str(programs / "java")
    program(tmp_path / "jre" / "bin" / "java")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jre"))
    assert jars.java() == str(tmp_path / "jre" / "bin" / "java")
