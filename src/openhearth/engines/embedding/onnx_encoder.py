"""An encoder as an ONNX file, run by onnxruntime: token ids -> one vector per token. Knows nothing of pooling or text.

A text's vector must not depend on whoever asks at the same time. Where a file's would, its sequences are run one by one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Tensor = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

MOST_PADDING = 1.25
"""Sequences share a run while padding them to the longest makes at most so much of their tokens."""
ROUNDING = 1e-3
"""Vectors that differ by no more, relative to their largest number, are the same but for the order of additions."""


class OnnxEncoder:
    """The encoder with its weights. Raises onnxruntime's errors for a broken file, ValueError for one that is no text encoder."""

    def __init__(self, path: Path, threads: int) -> None:
        # It reports to its maker, from the moment it is loaded; its own `disable_telemetry_events` comes too late for that.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Otherwise its threads keep a core busy for a while after every run.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._inputs = {given.name for given in self._session.get_inputs()}
        self._output = self._session.get_outputs()[0].name
        if "input_ids" not in self._inputs or self._inputs - {"input_ids", "attention_mask", "token_type_ids"}:
            raise ValueError(f"{path.name} is no text encoder: its inputs are {', '.join(sorted(self._inputs))}.")
        if len(self._session.get_outputs()[0].shape) != 3:
            raise ValueError(f"{path.name}: its first output is not one vector per token.")
        self._alone = self._mingles()

    def __call__(self, sequences: Sequence[Sequence[int]]) -> list[Tensor]:
        """One matrix (tokens x hidden size) per sequence."""
        results: list[Any] = [None] * len(sequences)
        lengths = [len(sequence) for sequence in sequences]
        for group in ([number] for number in range(len(lengths))) if self._alone else groups(lengths):
            hidden = self._run([sequences[number] for number in group])
            for row, number in enumerate(group):
                results[number] = hidden[row, : len(sequences[number])]
        return results

    def _mingles(self) -> bool:
        """Whether a sequence's vectors depend on its neighbours, as in files that quantise activations by the range of the whole run."""
        import numpy as np

        sequence, neighbour = list(range(4)), list(range(4, 12))
        alone, beside = self._run([sequence])[0], self._run([sequence, neighbour])[0, : len(sequence)]
        return bool(np.abs(alone - beside).max() > ROUNDING * np.abs(alone).max())

    def _run(self, sequences: list[Sequence[int]]) -> Any:
        import numpy as np

        longest = max(map(len, sequences))
        ids = np.zeros((len(sequences), longest), np.int64)
        mask = np.zeros_like(ids)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence)] = sequence
            mask[row, : len(sequence)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return self._session.run([self._output], {name: feed[name] for name in self._inputs})[0]


def groups(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Numbers of sequences of about the same length, so that little is computed for padding."""
    group: list[int] = []
    tokens = 0
    for number in sorted(range(len(lengths)), key=lambda number: lengths[number]):
        padded = lengths[number] * (len(group) + 1)
        if group and padded > MOST_PADDING * (tokens + lengths[number]):
            yield group
            group, tokens = [], 0
        group.append(number)
        tokens += lengths[number]
    if group:
        yield group
