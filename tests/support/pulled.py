from pathlib import Path
def smollm2() -> Path:
    return Path("/tmp/dl/m/SmolLM2-135M-Instruct.Q4_1.gguf")
