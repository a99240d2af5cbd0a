"""Settings: flags before environment before file before defaults; a typo is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from openhearth.errors import SetupError
from openhearth.settings import EngineSettings, Settings, Upstream, load, upstream_key


def test_flags_win_over_environment_over_file(tmp_path: Path) -> None:
    (tmp_path / "openhearth.toml").write_text('host = "10.0.0.1"\nport = 1\ndefault_model = "a"\n[engines]\nslots = 3\n')
    environ = {"OPENHEARTH_DATA_DIR": str(tmp_path), "OPENHEARTH_PORT": "2", "OPENHEARTH_HOST": "10.0.0.2"}
    settings = load({"port": 3, "host": None}, environ)
    assert (settings.port, settings.host, settings.default_model, settings.engines.slots) == (3, "10.0.0.2", "a", 3)


@pytest.mark.parametrize(
    "content",
    [
        "prot = 1\n",
        "port = 'x'\n",
        "[engines]\nslot = 1\n",
        "port = \n",
        'api_key = "sk-in-a-file-000000"\n',
        "[[upstreams]]\nname = 'x'\n",
    ],
)
def test_mistakes_in_the_file_are_errors(tmp_path: Path, content: str) -> None:
    (tmp_path / "openhearth.toml").write_text(content)
    with pytest.raises(SetupError) as caught:
        load({}, {"OPENHEARTH_DATA_DIR": str(tmp_path)})
    assert caught.value.exit_status == 78


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("port = 'x'", "'port' must be an integer, not a string."),
        ("prot = 1", "there is no setting 'prot'. Did you mean 'port'?"),
        ("[engines]\nslot = 1", "there is no setting 'engines.slot'. Did you mean 'slots'?"),
        ("[[upstreams]]\nname = 'x'", "'upstreams[0].base_url' is missing."),
        ("[aliases]\nx = 1", "'aliases[...]' must be a string, not an integer."),
    ],
)
def test_a_mistake_in_the_file_is_told_in_words_with_the_files_name(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "openhearth.toml").write_text(content)
    with pytest.raises(SetupError) as caught:
        load({}, {"OPENHEARTH_DATA_DIR": str(tmp_path)})
    assert caught.value.message == f"{tmp_path / 'openhearth.toml'}: {said}"


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("OPENHEARTH_PORT", "OPENHEARTH_PORT must be an integer, not a string."),
        ("OPENHEARTH_PROT", "OPENHEARTH_PROT is set, but there is no such setting. Did you mean 'OPENHEARTH_PORT'?"),
        ("OPENHEARTH_PRELOAD", "OPENHEARTH_PRELOAD is not read: 'preload' is set in openhearth.toml only."),
    ],
)
def test_a_mistake_in_a_variable_names_the_variable(tmp_path: Path, variable: str, said: str) -> None:
    with pytest.raises(SetupError) as caught:
        load({}, {"OPENHEARTH_DATA_DIR": str(tmp_path), variable: "x"})
    assert (caught.value.message, caught.value.exit_status) == (said, 78)


def test_a_mistake_in_a_flag_names_the_flag(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"^--port must be an integer"):
        load({"port": "x"}, {"OPENHEARTH_DATA_DIR": str(tmp_path)})


def test_variables_that_are_somebodys_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "openhearth.toml").write_text("[[upstreams]]\nname = 'x'\nbase_url = 'http://h/v1'\napi_key_env = 'OPENHEARTH_FAR_KEY'")
    names = ("FAR_KEY", "DEBUG", "TEST_CACHE", "OPENAI_SPEC", "SERVICE_HOST", "SERVICE_PORT_HTTP", "PORT_8000_TCP_ADDR")
    load({}, {"OPENHEARTH_DATA_DIR": str(tmp_path), "OPENHEARTH_NOTHING": "", **{f"OPENHEARTH_{name}": "x" for name in names}})


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="not a file"):
        load({}, {"OPENHEARTH_CONFIG": str(tmp_path / "nowhere.toml")})


def test_an_upstreams_key_comes_from_its_variable() -> None:
    upstream = Upstream("vllm", "http://127.0.0.1:1/v1", api_key_env="VLLM_KEY")
    assert upstream_key(upstream, {"VLLM_KEY": "k"}) == "k"
    with pytest.raises(SetupError, match="VLLM_KEY"):
        upstream_key(upstream, {})
    assert upstream_key(Upstream("open", "http://127.0.0.1:1/v1"), {}) is None


def test_every_setting_is_documented() -> None:
    page = (Path(__file__).parents[1] / "docs" / "settings.md").read_text()
    for kind in (Settings, EngineSettings, Upstream):
        for field in kind.__struct_fields__:
            assert f"`{field}`" in page or f"`[{field}]`" in page or f"\n{field} = " in page, f"{kind.__name__}.{field}"
