"""scripts/check-dependencies finds what it is there to find: each rule is broken once, in a copy of the project."""
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHECK = ROOT / "scripts/check-dependencies"


def check(*arguments):
    done = subprocess.run([CHECK, *arguments], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(ROOT / "Sources", tmp_path / "Sources")
    shutil.copy(ROOT / "Package.swift", tmp_path)
    return tmp_path


def complaints(root, name):
    """The violations found in a copy that name a file. Others are for test_the_project_itself_is_in_order to report."""
    status, output = check("--sources", "--root", root)
    found = [line for line in output.splitlines() if name in line]
    assert status == 1 or not found
    return found


def test_the_project_itself_is_in_order():
    assert check("--sources") == (0, "check-dependencies: all in order\n")


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("Events/Broken.swift", "import Agent\n", "Events/Broken.swift:1: Events must not import Agent"),
        ("Agent/Broken.swift", "internal import CSQLite\n", "Agent must not import CSQLite"),
        ("Agent/Broken.swift", "import struct CNATS.natsMsg\n", "Agent must not import CNATS"),
        ("Stores/Broken.swift", "// why\n@preconcurrency import Gateway\n", "Broken.swift:2: Stores must not import"),
        ("Agent/Broken.swift", "import Foundation\n", "imports Foundation: use FoundationEssentials"),
        ("agentd/Broken.swift", "import FoundationInternationalization\n", "imports FoundationInternationalization"),
        ("Supervisor/Broken.swift", "import FoundationEssentials\n", "Supervisor must not import FoundationEssentials"),
        ("agentd/Status.swift", "import Stores\n", "only agentd's Wiring.swift and its …Command.swift files name"),
        ("Jail/Broken.swift", "func wait() async {}\n", "Jail runs without Swift concurrency"),
        ("Contracts/Broken.swift", "let later = Task { 1 }\n", "Contracts runs without Swift concurrency"),
        ("Agent/Broken.swift", "final class A: @unchecked Sendable {}\n", "give the reason for the unsafe mark"),
        ("Agent/Broken.swift", "nonisolated(unsafe) var a = 1\n", "give the reason for the unsafe mark"),
        pytest.param("Agent/Broken.swift", "//\n" * 401, "Agent/Broken.swift: 401 lines, at most 400", id="too long"),
        ("Utils/Broken.swift", "", "target Utils has no place in the layering"),
    ],
)
def test_a_broken_source_is_named(copy, file, text, complaint):
    path = copy / "Sources" / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    found = complaints(copy, file)
    assert len(found) == 1 and complaint in found[0], found


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("agentd/Wiring.swift", "import Stores\n"),
        ("agentd/ExportCommand.swift", "import Stores\n"),
        ("Jail/Sound.swift", '/// Nothing async; a Task { } is named in prose only.\nlet text = "await Task { }"\n'),
        ("Agent/Sound.swift", "// Why: it is immutable after init.\nfinal class A: @unchecked Sendable {}\n"),
        ("Agent/Sound.swift", "nonisolated(unsafe) let a = 1  // a C constant\n"),
        pytest.param("Agent/Sound.swift", "//\n" * 400, id="as long as may be"),
    ],
)
def test_a_sound_source_passes(copy, file, text):
    path = copy / "Sources" / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    assert not complaints(copy, file)


def test_a_dependency_against_the_layering_is_found_in_the_package(copy):
    package = copy / "Package.swift"
    sound = '.target(name: "Events", swiftSettings: strict)'
    assert sound in package.read_text()
    broken = '.target(name: "Events", dependencies: ["SQLite"], swiftSettings: strict)'
    package.write_text(package.read_text().replace(sound, broken))
    assert complaints(copy, "Package.swift") == ["Package.swift: Events must not depend on SQLite"]


@pytest.fixture
def programs(tmp_path):
    """Sound programs to break: `build` compiles one from a line of C."""

    def build(name, code="int main(void) { return 0; }", *flags):
        subprocess.run(
            ["gcc", "-x", "c", "-", "-o", tmp_path / name, *flags], input=code, text=True, check=True, timeout=60
        )

    build("agent-init", "int main(void) { return 0; }", "-static")
    build("agent-jail", "int main(void) { return 0; }", "-static")
    build("agentd")
    build.folder = tmp_path
    return build


def test_sound_programs_pass(programs):
    assert check("--binaries", "--bin-dir", programs.folder) == (0, "check-dependencies: all in order\n")


def test_a_missing_program_is_named(programs):
    (programs.folder / "agentd").unlink()
    assert check("--binaries", "--bin-dir", programs.folder) == (1, f"agentd: not built in {programs.folder}\n")


def test_a_static_program_that_became_dynamic_is_named(programs):
    programs("agent-init")
    assert check("--binaries", "--bin-dir", programs.folder) == (1, "agent-init: not static (needs libc.so.6)\n")


def test_a_static_program_that_grew_is_named(programs):
    programs("agent-jail", "char big[8 << 20] = {1}; int main(void) { return big[1]; }", "-static")
    status, output = check("--binaries", "--bin-dir", programs.folder)
    assert status == 1
    assert output.startswith("agent-jail: 9") and "bytes stripped, must be under 8388608" in output


def test_icu_is_found_even_in_a_stripped_program(programs):
    programs("agentd", 'const char *data = "icudt76l"; int main(void) { return data[0]; }', "-s")
    status, output = check("--binaries", "--bin-dir", programs.folder)
    assert status == 1
    assert "agentd: Foundation's ICU is linked (icudt76)" in output


def test_a_library_that_the_image_does_not_install_is_named(programs):
    programs("libsurprise.so.1", "int surprise(void) { return 0; }", "-shared", "-fPIC", "-Wl,-soname,libsurprise.so.1")
    programs(
        "agentd",
        "int surprise(void); int main(void) { return surprise(); }",
        "-x",
        "none",
        programs.folder / "libsurprise.so.1",
    )
    assert check("--binaries", "--bin-dir", programs.folder) == (
        1,
        "agentd: needs libsurprise.so.1, which the image does not install\n",
    )
