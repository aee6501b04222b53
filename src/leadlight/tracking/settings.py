"""From plain values to dataclasses: types are checked, unknown keys are refused with the closest name."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from leadlight.errors import InputError, closest

Section = TypeVar("Section")


def key(default: Any, doc: str, *, words: str = "") -> Any:
    """Return a field with its documentation; `words` say what may stand there where the type alone does not."""
    more = {"doc": doc, "words": words}
    if isinstance(default, dict | list):
        return field(default_factory=type(default), metadata=more)
    return field(default=default, metadata=more)


def section(kind: type[Any], doc: str) -> Any:
    """Return a field that holds keys of its own."""
    return field(default_factory=kind, metadata={"doc": doc})


def build(kind: type[Section], values: Any, where: str = "") -> Section:
    """Return a dataclass from nested plain values.

    Parameters
    ----------
    kind : dataclass
        Its fields were made by `key` and `section`.
    values : mapping or None
        None stands for no value.
    where : str
        Dotted name of the section, for messages.

    Raises
    ------
    InputError
        A key is unknown, or a value is not of the key's type.
    """
    values = {} if values is None else values
    if not isinstance(values, Mapping):
        raise InputError(f"{where or 'The configuration'} is {values!r}; give keys and values.")
    hints = get_type_hints(kind)
    known: dict[str, Field[Any]] = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    found: dict[str, Any] = {}
    for name, value in values.items():
        dotted = f"{where}.{name}" if where else str(name)
        if name not in known:
            near = closest(str(name), known) or f"; {where or 'the top'} has {', '.join(known)}"
            raise InputError(f"There is no key {dotted!r}{near}.")
        hint = hints[name]
        if is_dataclass(hint):
            assert isinstance(hint, type)
            found[name] = build(hint, value, dotted)
        else:
            found[name] = _checked(value, hint, dotted)
    return kind(**found)


def _checked(value: Any, hint: Any, dotted: str) -> Any:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        for part in parts:
            try:
                return _checked(value, part, dotted)
            except InputError:
                continue
        raise _wrong(value, hint, dotted)
    if origin is Literal:
        if value in parts and not isinstance(value, bool):
            return value
        near = closest(value, map(str, parts)) if isinstance(value, str) else ""
        raise InputError(f"{dotted} is {value!r}; use {_type_words(hint)}{near}.")
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_checked(v, parts[0], dotted) for v in value)
    if origin is dict and isinstance(value, Mapping):
        return {_checked(k, parts[0], dotted): _checked(v, parts[1], dotted) for k, v in value.items()}
    return _plain(value, hint, dotted) if origin is None else _refuse(value, hint, dotted)


def _plain(value: Any, hint: Any, dotted: str) -> Any:
    if hint is str and type(value).__name__ in ("date", "datetime"):
        return value.isoformat()  # YAML reads 2026-01-01 as a date
    if isinstance(value, bool) and hint is not bool:
        raise _wrong(value, hint, dotted)  # which Python takes for a number
    if hint is float and isinstance(value, int):
        return float(value)
    return value if isinstance(value, hint) else _refuse(value, hint, dotted)


def _refuse(value: Any, hint: Any, dotted: str) -> NoReturn:
    raise _wrong(value, hint, dotted)


def _wrong(value: Any, hint: Any, dotted: str) -> InputError:
    return InputError(f"{dotted} is {value!r}; give {_type_words(hint)}.")


def _type_words(hint: Any) -> str:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_type_words(part) for part in parts)
    if origin is Literal:
        return " or ".join(repr(part) for part in parts)
    if origin is tuple:
        return f"a list of {_type_words(parts[0])}"
    if origin is dict:
        return "names and values"
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    return "null" if hint is types.NoneType else names[hint]


def walk(kind: type[Any], where: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Yield every key: dotted name, type in words, default as YAML, documentation. A section has no type."""
    hints = get_type_hints(kind)
    for one in fields(kind):
        dotted = f"{where}.{one.name}" if where else one.name
        doc = one.metadata["doc"]
        if is_dataclass(hints[one.name]):
            yield dotted, "", "", doc
            yield from walk(hints[one.name], dotted)
        else:
            made = one.default_factory
            default = one.default if made is MISSING else made()
            yield dotted, one.metadata["words"] or _type_words(hints[one.name]), as_yaml(default), doc


def as_yaml(value: Any) -> str:
    """Return one value as YAML on one line."""
    import yaml

    plain = list(value) if isinstance(value, tuple) else value
    text: str = yaml.safe_dump(plain, default_flow_style=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Return the keys of a YAML file.

    Raises
    ------
    InputError
        It cannot be read, is no YAML, names a key twice or holds no keys.
    """
    import yaml

    class Once(yaml.SafeLoader):  # type: ignore[misc]
        """A loader that does not let the second of two equal keys win in silence."""

    def mapping(loader: Any, node: Any) -> dict[Any, Any]:
        names = [loader.construct_object(k) for k, _ in node.value]
        twice = sorted({str(n) for n in names if names.count(n) > 1})
        if twice:
            raise InputError(f"{path} names {', '.join(twice)} twice; keep one.")
        return dict(yaml.SafeLoader.construct_mapping(loader, node, deep=True))

    Once.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        found = yaml.load(Path(path).read_text(encoding="utf-8"), Once)  # noqa: S506  a SafeLoader
    except OSError as error:
        raise InputError(f"The configuration {path} cannot be read: {error}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(found, dict | None):
        raise InputError(f"{path} holds {type(found).__name__}, not keys and values.")
    return found or {}


def with_overrides(values: Mapping[str, Any], overrides: list[str]) -> dict[str, Any]:
    """Return nested values with "a.b=c" applied in order; each c is read as YAML.

    Raises
    ------
    InputError
        An override has no "=", its value is no YAML, or it goes below something that holds no keys.
    """
    import yaml

    found = _copied(values)
    for text in overrides:
        dotted, equals, value = text.partition("=")
        if not equals or not dotted.strip():
            raise InputError(f"--set got {text!r}; write KEY=VALUE, such as labels.horizon=90d.")
        place = found
        *above, last = dotted.strip().split(".")
        for name in above:
            inner = place.get(name)
            place[name] = {} if inner is None else inner
            place = place[name]
            if not isinstance(place, dict):
                raise InputError(f"--set {text}: {name} holds {place!r}, which has no keys below it.")
        try:
            place[last] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"--set {text}: the value is no YAML.") from error
    return found


def _copied(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _copied(v) if isinstance(v, Mapping) else v for name, v in values.items()}
