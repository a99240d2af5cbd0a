"""Settings: flags before environment before file before defaults; a typo is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from openhearth.errors import SetupError
from openhearth.settings import EngineSettings, MailSettings, OidcSettings, Settings, Upstream, load, upstream_key


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
    for kind in (Settings, EngineSettings, Upstream, MailSettings, OidcSettings):
        for field in kind.__struct_encode_fields__:
            assert f"`{field}`" in page or f"`[{field}]`" in page or f"\n{field} = " in page, f"{kind.__name__}.{field}"
