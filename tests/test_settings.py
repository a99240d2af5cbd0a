"""Settings: flags before environment before file before defaults; a typo is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from openhearth.errors import SetupError
from openhearth.settings import (
    EngineSettings,
    LimitSettings,
    MailSettings,
    OidcSettings,
    Prices,
    Settings,
    Upstream,
    WebhookSettings,
    load,
    upstream_key,
)


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
        "[limits]\nrequests_per_minute = -1\n",
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


SENSELESS = [
    ("host = ''", "host"),
    ("port = 99999", "port"),
    ("port = -1", "port"),
    ("max_body_mb = 0", "max_body_mb"),
    ("body_timeout_s = -1", "body_timeout_s"),
    ("body_timeout_s = nan", "body_timeout_s"),
    ("body_timeout_s = inf", "body_timeout_s"),
    ("idle_timeout_s = 0", "idle_timeout_s"),
    ("max_connections = 0", "max_connections"),
    ("log_level = 'loud'", "log_level"),
    ("default_model = ''", "default_model"),
    ("preload = ['']", "preload"),
    ("cors_origins = ['app.example']", "cors_origins"),
    ("cors_origins = ['https://app.example/page']", "cors_origins"),
    ("cors_origins = ['https://app.example/']", "cors_origins"),
    ("cors_origins = 'https://app.example'", "cors_origins"),
    ("base_url = 'nonsense'", "base_url"),
    ("base_url = 'http://user:secret@host'", "base_url"),
    ("base_url = 'http://host:99999'", "base_url"),
    ("[engines]\nslots = 0", "engines.slots"),
    ("[engines]\nslots = 1000", "engines.slots"),
    ("[engines]\ncontext = -1", "engines.context"),
    ("[engines]\nqueue = -5", "engines.queue"),
    ("[engines]\nthreads = 0", "engines.threads"),
    ("[engines]\ngpu_layers = -2", "engines.gpu_layers"),
    ("[engines]\nmemory_budget_mb = 0", "engines.memory_budget_mb"),
    ("[engines]\nkeep_alive_s = nan", "engines.keep_alive_s"),
    ("[engines]\nstart_timeout_s = 0", "engines.start_timeout_s"),
    ("[engines]\nstall_timeout_s = -1", "engines.stall_timeout_s"),
    ("[aliases]\n'' = 'x'", "aliases"),
    ("[[upstreams]]\nname = 'a'\nbase_url = 'ftp://host/v1'", "base_url"),
    ("[[upstreams]]\nname = 'a'\nbase_url = ''", "base_url"),
    ("[[upstreams]]\nname = 'a'\nbase_url = 'http://'", "base_url"),
    ("[[upstreams]]\nname = 'a/b'\nbase_url = 'http://host/v1'", "name"),
    ("[[upstreams]]\nname = ''\nbase_url = 'http://host/v1'", "name"),
    ("[[upstreams]]\nname = 'a'\nbase_url = 'http://host/v1'\nretries = -1", "retries"),
    ("[[upstreams]]\nname = 'a'\nbase_url = 'http://host/v1'\ntimeout_s = 0", "timeout_s"),
    ("[[upstreams]]\nname = 'a'\nbase_url = 'http://host/v1'\n" * 2, "upstreams"),
]


@pytest.mark.parametrize(("content", "name"), SENSELESS)
def test_a_senseless_setting_is_refused_by_name(tmp_path: Path, content: str, name: str) -> None:
    (tmp_path / "openhearth.toml").write_text(content + "\n")
    with pytest.raises(SetupError) as caught:
        load({}, {"OPENHEARTH_DATA_DIR": str(tmp_path)})
    assert caught.value.exit_status == 78
    assert name in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "content",
    [
        "port = 0\nhost = '::1'\nlog_level = 'debug'\ncors_origins = ['*', 'http://localhost:3000', 'https://app.example']",
        "base_url = 'https://house.example/v1'\nhost = 'localhost'",
        "[engines]\nqueue = 0\nkeep_alive_s = -1\ngpu_layers = 0\nslots = 256\ncontext = 131072",
        "[[upstreams]]\nname = 'a'\nbase_url = 'http://[::1]:8000/v1'\n[[upstreams]]\nname = 'b'\nbase_url = 'http://[::1]:8000/v1/'",
    ],
)
def test_what_makes_sense_is_taken(tmp_path: Path, content: str) -> None:
    (tmp_path / "openhearth.toml").write_text(content + "\n")
    load({}, {"OPENHEARTH_DATA_DIR": str(tmp_path)})


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
    for kind in (Settings, EngineSettings, LimitSettings, MailSettings, OidcSettings, Prices, Upstream, WebhookSettings):
        for field in kind.__struct_encode_fields__:
            assert f"`{field}`" in page or f"`[{field}]`" in page or f"\n{field} = " in page, f"{kind.__name__}.{field}"
