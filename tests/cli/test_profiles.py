"""Which server, with which key."""

import stat
from pathlib import Path

import pytest

from cli.failures import CommandFailed, ExitCode
from cli.profiles import (
    ConnectionOptions,
    Profiles,
    Target,
    checked_key,
    checked_name,
    checked_url,
    load_profiles,
    resolve,
    save_profiles,
)

HOME = Target("https://home.example.com", "key-of-home")
WORK = Target("https://office.example.com", 'key-"of"\\office')
BOTH = Profiles("home", {"home": HOME, "office": WORK})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "new" / "config.toml"
    save_profiles(path, BOTH)
    return path


def test_file_keeps_what_it_was_given(file: Path) -> None:
    assert load_profiles(file) == BOTH


def test_file_is_for_its_owner_only(file: Path) -> None:
    file.chmod(0o644)
    save_profiles(file, BOTH)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_file_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert load_profiles(tmp_path / "none.toml") == Profiles()


@pytest.mark.parametrize("text", ["current = ", "[profiles.a]\nurl = 'x'", "profiles = 5", "profiles = {a = 5}"])
def test_file_that_is_broken_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(CommandFailed, match=r"config\.toml") as raised:
        load_profiles(path)
    assert raised.value.code is ExitCode.USAGE


def test_keys_do_not_appear_where_objects_are_shown() -> None:
    assert "key-of-home" not in repr(BOTH)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, HOME),
        ({"profile": "office"}, WORK),
        ({"url": "https://x.example.com", "api_key": "k"}, Target("https://x.example.com", "k")),
        ({"api_key": "k"}, Target(HOME.url, "k")),
        ({"url": f"{HOME.url}/"}, HOME),
    ],
)
def test_target_is(file: Path, options: dict[str, str], expected: Target) -> None:
    assert resolve(ConnectionOptions(config_file=file, **options)) == expected


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"profile": "nobody"}, "home, office"),
        ({"url": "https://elsewhere.example.com"}, "key is for https://home.example.com"),
        ({"url": "ftp://x", "api_key": "k"}, "not the address"),
        ({"api_key": "with space"}, "no API key"),
    ],
)
def test_target_is_refused(file: Path, options: dict[str, str], says: str) -> None:
    with pytest.raises(CommandFailed, match=says) as raised:
        resolve(ConnectionOptions(config_file=file, **options))
    assert raised.value.code is ExitCode.USAGE


@pytest.mark.parametrize(
    ("options", "says"), [({}, "FLOWGRAFT_URL"), ({"url": "https://x.example.com"}, "FLOWGRAFT_API_KEY")]
)
def test_target_that_is_missing_says_how_to_give_it(tmp_path: Path, options: dict[str, str], says: str) -> None:
    with pytest.raises(CommandFailed, match=says):
        resolve(ConnectionOptions(config_file=tmp_path / "none.toml", **options))


def test_profile_named_by_a_flag_beats_the_environment() -> None:
    options = ConnectionOptions(profile="office", url="https://x.example.com", api_key="k")
    assert options.preferring({"profile"}) == ConnectionOptions(profile="office")
    assert options.preferring({"profile", "url"}) == ConnectionOptions(profile="office", url="https://x.example.com")
    assert options.preferring({"output"}) == options


def test_profile_that_goes_is_no_longer_current() -> None:
    assert BOTH.without("home") == Profiles(None, {"office": WORK})
    assert BOTH.without("office").current == "home"


@pytest.mark.parametrize("url", ["flowgraft.example.com", "http://", "https://x.example.com/?a=b", "file:///x"])
def test_urls_are_checked(url: str) -> None:
    with pytest.raises(CommandFailed):
        checked_url(url)


@pytest.mark.parametrize("key", ["", "a\nb", "ä"])
def test_keys_are_checked(key: str) -> None:
    with pytest.raises(CommandFailed):
        checked_key(key)


@pytest.mark.parametrize("name", ["", "a.b", "a b", "x" * 65])
def test_names_are_checked(name: str) -> None:
    with pytest.raises(CommandFailed):
        checked_name(name)


def test_key_of_flowgraft_dev_is_pointed_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".flowgraft").mkdir()
    (tmp_path / ".flowgraft" / "api_key").write_text("k")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandFailed, match=r"flowgraft login --url http://127\.0\.0\.1:8700 < \.flowgraft/api_key"):
        resolve(ConnectionOptions(config_file=tmp_path / "none.toml"))
