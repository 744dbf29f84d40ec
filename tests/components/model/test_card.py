"""Each version carries a model card with the fields of Mitchell et al. 2019."""

import json

from tests.components.trainer_harness import Trained

SECTIONS = (
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
)


def test_the_card_has_every_section_as_json_and_to_read(trained: Trained) -> None:
    extra = trained.model / "assets.extra"
    card = json.loads((extra / "model_card.json").read_text())
    text = (extra / "model_card.md").read_text()
    assert set(card) == set(SECTIONS)
    for section in SECTIONS:
        assert f"## {section}\n" in text
        assert all(f"- **{field}**: " in text for field in card[section])


def test_the_card_says_what_the_model_is_not_for_and_where_it_decides(trained: Trained) -> None:
    text = (trained.model / "assets.extra" / "model_card.md").read_text()
    assert "not a medical device" in text
    assert f"{trained.loaded.threshold.numpy():.4f}" in text
    assert "NORMAL 60, PNEUMONIA 60" in text
