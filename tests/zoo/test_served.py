"""Both deployments serve every imported architecture, and give the same bytes for the same seed."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
from flask import Flask, request

import twinserve.service.function as function
from twinserve.bundle.engine import Engine
from twinserve.bundle.images import decode
from twinserve.service.container import create_app
from twinserve.zoo.convert import Chosen
from twinserve.zoo.install import Terms, install

ZOO = Path(__file__).parents[1] / "data/zoo"


@pytest.mark.parametrize("name", ["zoo_pgan_64", "zoo_dcgan_64", "zoo_stylegan_32"])
def test_an_imported_model_answers_from_both_sides(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, terms = tmp_path / name, Terms("for tests", commercial_use=False)
    bundle = install(ZOO / f"{name}.pth", name, folder, terms, Chosen.AVERAGED, half=True)
    monkeypatch.setenv("TWINSERVE_MODEL", str(folder))
    monkeypatch.delenv("TWINSERVE_MORE_MODELS", raising=False)
    monkeypatch.setattr(function, "_core", None)
    app = Flask("function")
    app.add_url_rule("/", view_func=lambda: function.generate(request), methods=["POST"])
    fields = {"seed": 9, "num_images": 2, "layout": "list", "format": "png"}
    sides = [
        client.post(path, json=fields)
        for client, path in (
            (create_app().test_client(), "/generate"),
            (app.test_client(), "/"),
        )
    ]
    assert [side.status_code for side in sides] == [200, 200]
    first, second = (side.get_json() for side in sides)
    assert first["images"] == second["images"]
    assert first["model"] == name
    pictures = [decode(base64.b64decode(text)) for text in first["images"]]
    engine = Engine(bundle)
    for place, picture in enumerate(pictures):
        assert np.array_equal(picture, engine.image(9, place))
    assert not np.array_equal(*pictures)
