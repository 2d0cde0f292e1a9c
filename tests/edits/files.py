"""Edits of files and folders as wholes."""

from __future__ import annotations

import random

from tests.edits.parts import Kind, a_value, is_class
from tests.edits.source import Unfit
from tests.edits.tree import Tree


def delete_file(tree: Tree, draw: random.Random) -> str:
    path = draw.choice(_some(tree))
    tree.remove(path)
    return f"file {path} is deleted"


def _some(tree: Tree) -> list[str]:
    paths = tree.paths()
    if len(paths) < 3:
        raise Unfit("there are too few files")
    return paths


def restore_file(tree: Tree, draw: random.Random) -> str:
    gone = [path for path in sorted(tree.removed) if not (tree.root / path).exists()]
    if not gone:
        raise Unfit("no file was deleted")
    path = draw.choice(gone)
    if any((tree.root / path).parents[n].is_file() for n in range(path.count("/"))):
        raise Unfit("a file is where its folder was")
    tree.write(path, tree.removed[path])
    return f"file {path} is back"


def delete_folder(tree: Tree, draw: random.Random) -> str:
    """A small one, or the whole package would go."""
    paths = tree.paths()
    small = [
        folder
        for folder in tree.folders()
        if 0 < sum(path.startswith(f"{folder}/") for path in paths) <= max(3, len(paths) // 8)
    ]
    if not small:
        raise Unfit("there is no small folder")
    folder = draw.choice(small)
    gone = [path for path in paths if path.startswith(f"{folder}/")]
    for path in gone:
        tree.remove(path)
    return f"folder {folder} is deleted, {len(gone)} files"


def restore_all(tree: Tree, draw: random.Random) -> str:
    gone = [path for path in sorted(tree.removed) if not (tree.root / path).exists()]
    if not gone:
        raise Unfit("no file was deleted")
    for path in gone:
        tree.write(path, tree.removed[path])
    return f"{len(gone)} deleted files are back: {', '.join(gone)}"


def _new_text(tree: Tree, draw: random.Random, path: str) -> str:
    """A module that takes names from another one, and has one of its own."""
    module, found = tree.draw_importable(draw, lambda _: True, but=path)
    _, heir = tree.draw_importable(draw, is_class, but=path)
    name = found.node.name
    return draw.choice(
        [
            f"from {module} import {name}\n\n\ndef {tree.new_name()}():\n    return {name}()\n",
            f"from {module} import *\n\n{tree.new_name('made')} = {name}()\n",
            f"import {module}\n\n\nclass {heir.node.name}({module}.{name}):\n    pass\n",
            f"def {name}(*given):\n    return given\n\n\nclass {heir.node.name}:\n    pass\n",
        ]
    )


def add_file(tree: Tree, draw: random.Random) -> str:
    folder = draw.choice(["", *tree.folders()])
    name = f"{tree.new_name('module')}.py"
    path = f"{folder}/{name}" if folder else name
    tree.create(path, _new_text(tree, draw, path))
    return f"file {path} is added"


_STANDARD = ["json", "typing_extensions", "logging", "functools", "collections", "os", "abc"]


def shadow(tree: Tree, draw: random.Random) -> str:
    """A file that is found in place of another one: beside a package, a module or the library."""
    paths, folders = tree.paths(), tree.folders()
    ways = []
    ways += [f"{each}.py" for each in folders]
    ways += [f"{path.removesuffix('.py')}/__init__.py" for path in paths if _is_plain(path)]
    ways += [f"{path}i" for path in paths if path.endswith(".py")]
    ways += [f"{draw.choice(['', *(f'{each}/' for each in folders)])}{draw.choice(_STANDARD)}.py"]
    ways += [f"{each}/__init__.py" for each in folders]
    ways += [f"{each}/__init__.pyi" for each in folders]
    ways = [path for path in ways if not (tree.root / path).exists()]
    if not ways:
        raise Unfit("everything is in the shadow already")
    path = draw.choice(ways)
    tree.create(path, _new_text(tree, draw, path))
    return f"file {path} is added and shadows what it is named like"


def _is_plain(path: str) -> bool:
    return path.endswith(".py") and not path.endswith("__init__.py")


def swap_files(tree: Tree, draw: random.Random) -> str:
    """Two files' contents change places: written anew, or by renaming, as git does."""
    one, other = draw.sample(_some(tree), 2)
    first, second = tree.content(one), tree.content(other)
    if first == second:
        raise Unfit("they are equal")
    if draw.random() < 0.5:
        tree.write(one, second)
        tree.write(other, first)
        return f"{one} and {other} are written with each other's contents"
    between = tree.root / "between.swap"
    (tree.root / one).rename(between)
    (tree.root / other).rename(tree.root / one)
    between.rename(tree.root / other)
    return f"{one} and {other} are renamed to each other"


def rename_file(tree: Tree, draw: random.Random) -> str:
    path = draw.choice(_some(tree))
    folder, _, name = path.rpartition("/")
    new = f"{tree.new_name(name.partition('.')[0].strip('_') or 'module')}.py"
    to = f"{folder}/{new}" if folder else new
    tree.move(path, to)
    return f"file {path} is named {to}"


def move_file(tree: Tree, draw: random.Random) -> str:
    path = draw.choice(_some(tree))
    folder = draw.choice(["", *tree.folders()])
    name = path.rpartition("/")[2]
    to = f"{folder}/{name}" if folder else name
    tree.move(path, to)
    return f"file {path} goes to {to}"


def rename_folder(tree: Tree, draw: random.Random) -> str:
    folders = tree.folders()
    if not folders:
        raise Unfit("there is no folder")
    folder = draw.choice(folders)
    to = f"{folder}_{tree.new_name('moved').partition('_')[2]}"
    tree.move(folder, to)
    return f"folder {folder} is named {to}"


def name_back(tree: Tree, draw: random.Random) -> str:
    """What had been given a number gets its name back: files and folders."""
    numbered = [
        path
        for path in [*tree.paths(), *tree.folders()]
        if (stem := path.rpartition("/")[2].partition(".")[0]).rpartition("_")[2].isdigit()
        and stem.rpartition("_")[0]
    ]
    if not numbered:
        raise Unfit("nothing was renamed")
    path = draw.choice(numbered)
    folder, _, name = path.rpartition("/")
    stem, dot, suffix = name.partition(".")
    new = f"{stem.rpartition('_')[0]}{dot}{suffix}"
    to = f"{folder}/{new}" if folder else new
    tree.move(path, to)
    return f"{path} is named {to} again"


def copy_file(tree: Tree, draw: random.Random) -> str:
    """The same text under another name: every name is there twice."""
    path = draw.choice(_some(tree))
    folder = draw.choice(["", *tree.folders()])
    name = f"{tree.new_name('copy')}.py"
    to = f"{folder}/{name}" if folder else name
    tree.write(to, tree.content(path))
    return f"file {path} is copied to {to}"


def empty_file(tree: Tree, draw: random.Random) -> str:
    path = draw.choice([each for each in _some(tree) if tree.content(each)] or _some(tree))
    if not tree.content(path):
        raise Unfit("it is empty already")
    tree.removed.setdefault(path, tree.content(path))
    tree.write(path, b"")
    return f"file {path} is emptied"


def module_to_package(tree: Tree, draw: random.Random) -> str:
    """`x.py` becomes `x/__init__.py`, or the other way round."""
    plain = [
        path
        for path in tree.paths()
        if _is_plain(path) and not (tree.root / path.removesuffix(".py")).exists()
    ]
    alone = [
        path
        for path in tree.paths()
        if path.endswith("/__init__.py")
        and len(list((tree.root / path).parent.glob("*"))) == 1
        and not (tree.root / f"{path.removesuffix('/__init__.py')}.py").exists()
    ]
    path = draw.choice(plain + alone * 3 or _nothing())
    if path in alone:
        to = f"{path.removesuffix('/__init__.py')}.py"
    else:
        to = f"{path.removesuffix('.py')}/__init__.py"
    tree.move(path, to)
    return f"{path} becomes {to}"


def _nothing() -> list[str]:
    raise Unfit("nothing fits")


def append_and_move(tree: Tree, draw: random.Random) -> str:
    """A file is changed and renamed at once."""
    source = tree.draw_source(draw, lambda each: not each.path.endswith("__init__.py"))
    value, changes = a_value(tree, draw, source)
    end = len(source.text)
    tree.put(source, source.changed(*changes, (end, end, f"\n{tree.new_name('last')} = {value}\n")))
    folder, _, name = source.path.rpartition("/")
    to = f"{tree.new_name(name.partition('.')[0])}.py"
    to = f"{folder}/{to}" if folder else to
    tree.move(source.path, to)
    return f"file {source.path} gets a variable of {value} and is named {to}"


def put_back(tree: Tree, draw: random.Random) -> str:
    """A file as it was at first, as after `git checkout`."""
    other = [
        path
        for path, content in sorted(tree.first.items())
        if (tree.root / path).is_file() and tree.content(path) != content
    ]
    path = draw.choice(other or _nothing())
    tree.broken.pop(path, None)
    tree.write(path, tree.first[path])
    return f"file {path} is as it was at first"


KINDS: dict[str, Kind] = {
    "file deleted": delete_file,
    "file restored": restore_file,
    "folder deleted": delete_folder,
    "everything deleted restored": restore_all,
    "file added": add_file,
    "file added that shadows": shadow,
    "files swapped": swap_files,
    "file renamed": rename_file,
    "file moved": move_file,
    "folder renamed": rename_folder,
    "renamed back": name_back,
    "file copied": copy_file,
    "file emptied": empty_file,
    "module made a package or back": module_to_package,
    "file changed and renamed": append_and_move,
    "file put back": put_back,
}
