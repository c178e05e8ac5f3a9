"""Loading authors' files, and the runtime of a process."""

import os
import sys
from pathlib import Path

import pytest

from module_sdk.launch import Launch, Served, Source
from module_sdk.loading import find_module, load, load_file, modules_in
from module_sdk.serving import _served
from module_sdk.supervisor.answers import died
from module_sdk.supervisor.attempts import Head, Held
from module_sdk.supervisor.executor import Exit
from plugmesh.errors import ConfigurationError, ContractError
from plugmesh.runtime import SystemRuntime
from plugmesh.runtime_loader import load_runtime

TEXT = """
from module_sdk import module
from module_sdk.errors import FatalError

@module("a.one")
def one() -> str:
    return __name__

@module("a.two", version="2.0.0")
def two() -> str:
    return "two"

if __name__ == "__main__":
    raise SystemExit("it ran as a script")
"""


def test_a_file_is_loaded_under_a_private_name(tmp_path: Path) -> None:
    file = tmp_path / "json.py"  # a name that Python itself has
    file.write_text(TEXT)
    loaded = load(Source(file=str(file)))
    assert [module.contract.ref for module in modules_in(loaded)] == ["a.one@0.1.0", "a.two@2.0.0"]
    assert loaded.__name__ in sys.modules
    assert "dumps" in vars(sys.modules["json"])
    assert load_file(str(file)) is loaded


def test_a_file_that_is_saved_twice_within_a_second_is_loaded_as_it_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.syspath_prepend(tmp_path)
    path, beside = tmp_path / "twice.py", tmp_path / "beside_twice.py"
    for number in (1, 2):
        path.write_text(f"from beside_twice import BESIDE\nNUMBER = {number}\n")
        beside.write_text(f"BESIDE = {number}\n")
        for file in (path, beside):
            os.utime(file, (1e9, 1e9))
        loaded = load_file(str(path))
        assert loaded.NUMBER == loaded.BESIDE == number
        for name in (loaded.__name__, "beside_twice"):
            monkeypatch.delitem(sys.modules, name)


def test_a_module_is_found_by_name_and_version(tmp_path: Path) -> None:
    file = tmp_path / "f.py"
    file.write_text(TEXT)
    loaded = load_file(str(file))
    assert find_module(loaded, "a.two@2.0.0").contract.name == "a.two"
    with pytest.raises(ContractError, match=r"no module a.two@1.0.0 .*a.one@0.1.0, a.two@2.0.0"):
        find_module(loaded, "a.two@1.0.0")


def test_a_file_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("import no_such_module_at_all\n")
    with pytest.raises(ModuleNotFoundError):
        load_file(str(file))
    file.write_text(TEXT)
    assert modules_in(load_file(str(file)))
    with pytest.raises(ContractError, match="no file"):
        load_file(str(tmp_path / "absent.py"))


def test_a_launch_survives_the_way_to_the_supervisor(tmp_path: Path) -> None:
    file = tmp_path / "g.py"
    file.write_text(TEXT)
    contract = modules_in(load_file(str(file)))[0].contract
    launch = Launch(
        (Served(contract, Source(file=str(file))),),
        "http://x",
        slots=3,
        labels={"a": "b"},
        path=("/p",),
        orphan_exit_s=1,
    )
    assert Launch.decode(launch.encode()) == launch
    assert Launch.decode(launch.encode()).served[0].contract.digest == contract.digest


def test_the_runtime_is_the_machine_unless_a_test_names_another(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from plugmesh.runtime import SystemRuntime\nclass Mine(SystemRuntime): pass\n")
    assert type(load_runtime({})) is SystemRuntime
    assert type(load_runtime({"PLUGMESH_RUNTIME": f"{file}:Mine"})).__name__ == "Mine"
    for wrong in ("nothing", f"{file}:Other", f"{tmp_path}/absent.py:Mine"):
        with pytest.raises(ConfigurationError, match="PLUGMESH_RUNTIME"):
            load_runtime({"PLUGMESH_RUNTIME": wrong})


def test_a_death_is_told_in_words() -> None:
    head = Head(type="assign", instance="i", module="a.one", version="0.1.0")
    attempt = Held(("r", "s", 1), head, 1, b"", 0.0, concurrent=False)
    end = Exit("it was killed by signal 11 (SIGSEGV)", trace="Fatal Python error: Segmentation fault")
    error, convicting = died(attempt, end)
    assert convicting
    said = "a.one@0.1.0: the process that ran the step ended: it was killed by signal 11 (SIGSEGV): it wrote into"
    assert error.message.startswith(said)
    assert "Segmentation" in error.traceback


PARTS = {
    "shop/__init__.py": "",
    "shop/rates.py": "RATE = 3\n",
    "shop/deep/__init__.py": "",
    "shop/deep/tax.py": """
from module_sdk import module
from ..rates import RATE

@module("shop.tax")
def tax() -> int:
    return RATE
""",
}


def written(folder: Path, name: str) -> Path:
    for path, text in PARTS.items():
        file = folder / path.replace("shop", name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder / name / "deep" / "tax.py"


def test_a_file_in_a_package_imports_what_lies_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    file = written(tmp_path, "shop_of_a_test")
    loaded = load_file(str(file))
    assert [module.contract.name for module in modules_in(loaded)] == ["shop.tax"]
    assert load_file(str(file)) is loaded
    assert sys.path[-1] == str(tmp_path), "behind everything else"
    assert [one.source for one in _served(modules_in(loaded))] == [Source(file=str(file))], "executors find it there"


def test_a_package_with_the_name_of_a_library_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    file = written(tmp_path, "json").with_name("alone.py")
    file.write_text(TEXT)
    assert len(modules_in(load_file(str(file)))) == 2
    with pytest.raises(ImportError):
        load_file(str(file.with_name("tax.py")))
