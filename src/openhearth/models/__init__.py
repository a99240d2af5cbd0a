"""AI models: the catalogue, pulling (sources, checksums, progress), and resolving a name to what to run."""
