import re
import subprocess
import sys

from rbc_lightning.usage import CONF_DIR, STAGES, usage


def test_every_choice_has_a_line_and_ablations_have_none():
    text = usage()
    for group in ("masks", "pairs", "translator", "model", "data", "mix", "augment", "logger", "trainer"):
        section = text[text.index(f"\n{group}=...") :].split("\n\n")[0]
        names = {path.stem for path in (CONF_DIR / group).glob("*.yaml")}
        assert set(re.findall(r"^  (\w+) ", section, re.MULTILINE)) == names
    stages = text[text.index("stages (stage=...)") :].split("\n\n")[0]
    assert set(re.findall(r"^  (\w+) ", stages, re.MULTILINE)) == set(STAGES)
    assert "without_term" not in text
    for words in ("my blood smears or brain scans", "data=folder data.root=DIR", "data=mri data.root=DIR", "classes in scans"):
        assert words in text
    assert not re.search(r"\bS[1-4]\b", text)


def test_a_reader_that_has_seen_enough_ends_the_help_quietly():
    command = f"{sys.executable} -m rbc_lightning --help | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("usage: python -m rbc_lightning")
    assert done.stderr == ""


def test_help_imports_nothing_heavy():
    heavy = ("torch", "pytorch_lightning", "numba", "matplotlib", "scipy", "cv2", "albumentations")
    code = f"import sys, rbc_lightning.app as app; app.main(['--help']); print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
