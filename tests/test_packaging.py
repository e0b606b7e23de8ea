"""The wheel: what it puts into site-packages, and that it works beside a user's own folders of the same names."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FAMILIES = ("backbones", "pruning", "heads", "datamodules", "envs", "checkpoints")


def run(*command, cwd, **environment):
    answer = subprocess.run(
        [os.fspath(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """What a commit would hold: builds leave nothing in the checkout, and what lies around there gets into no wheel."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    folder = tmp_path_factory.mktemp("source")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_symlink() or (ROOT / name).exists():  # a deleted file is listed until that is committed
            shutil.copy2(ROOT / name, target, follow_symlinks=False)
    return folder


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source, cwd=out)
    (file,) = out.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def names(wheel):
    return zipfile.ZipFile(wheel).namelist()


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    target = tmp_path_factory.mktemp("site")
    run(
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        target,
        wheel,
        cwd=target,
    )
    return target


def test_the_picture_of_layers_and_their_check_name_every_module():
    picture = (ROOT / "docs" / "architecture.md").read_text().partition("```\n")[2].partition("```")[0]
    layers = (ROOT / "pyproject.toml").read_text().partition("layers = [")[2].partition("\n]")[0]
    modules = {
        path.stem for path in (ROOT / "zoo").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    modules -= {"__init__", "__main__"}
    assert {"module", "heads", "adaptation"} <= modules
    assert [name for name in sorted(modules) if not re.search(rf"\b{name}\b", picture)] == []
    assert [name for name in sorted(modules) if not re.search(rf"\b{name}\b", layers)] == []


def test_family_links_are_relative_links():
    for name in (*FAMILIES, "recipes"):
        assert os.readlink(ROOT / "zoo" / name) == f"../{name}"


def test_wheel_holds_one_import_name(names):
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"zoo", next(top for top in tops if top.endswith(".dist-info"))}
    assert not [name for name in names if "__pycache__" in name or "/test" in name]


def test_wheel_holds_every_module_and_data_file(names, source):
    expected = {
        path.relative_to(source).as_posix()
        for folder in ("zoo", *(f"zoo/{name}" for name in (*FAMILIES, "recipes")))
        for path in (source / folder).rglob("*")
        if path.is_file() and path.suffix in (".py", ".yaml", ".json", ".xml", ".typed")
    }
    expected |= {"zoo/py.typed", "zoo/recipes/molmo2/tiny.yaml"}
    assert expected <= set(names)


def test_wheel_has_licence_and_command(wheel, names):
    assert any(name.endswith("licenses/LICENSE") for name in names)
    (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
    assert "zoo = zoo.cli:main" in zipfile.ZipFile(wheel).read(entry_points).decode()


def beside_site_packages(installed):
    return os.pathsep.join([os.fspath(installed), *(path for path in sys.path if path.endswith("site-packages"))])


def test_installed_wheel_works_beside_a_users_own_folders(installed, tmp_path):
    for name in (*FAMILIES, "recipes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('the user\\'s own folder')\n")
    code = (
        "import zoo, zoo.cli.recipes as recipes\n"
        "from zoo import registry\n"
        "print(zoo.__file__); print(recipes.path_of('molmo2/tiny')); print(registry.example('pruner', 'random'))\n"
        "print(sorted(registry.kinds()))"
    )
    # -S leaves out the editable install of this checkout; PYTHONPATH brings the wheel, then the libraries.
    libraries = beside_site_packages(installed)
    out = run(sys.executable, "-S", "-c", code, cwd=tmp_path, PYTHONPATH=libraries).splitlines()
    assert Path(out[0]).is_relative_to(installed)
    assert Path(out[1]).is_relative_to(installed)
    assert out[2] == "RandomPruner()"
    listed = run(sys.executable, "-S", "-m", "zoo", "list", cwd=tmp_path, PYTHONPATH=libraries)
    assert "molmo2/tiny" in listed


@pytest.mark.render
def test_a_bundled_policy_acts_from_the_installed_wheel(installed, tmp_path):
    """Weights, frozen episodes, their houses and assets: all of them travel in the wheel."""
    libraries = beside_site_packages(installed)
    asked = ["--policy", "spoc-tiny", "--benchmark", "nav100", "--episodes", "1", "--horizon_steps", "3"]
    zoo = [sys.executable, "-S", "-m", "zoo", "evaluate", *asked, "--videos", "0", "--json", "told.json"]
    run(*zoo, cwd=tmp_path, PYTHONPATH=libraries)
    (task,) = json.loads((tmp_path / "told.json").read_text())["tasks"]
    assert task["episodes"] == 1
    assert set(task["failures"]) <= {"horizon", "wrong_stop"}  # it acted
